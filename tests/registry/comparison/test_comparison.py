"""Two versions side by side: the data of it, the table of it, the page of it."""

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluated_registry import PICTURES, RIGHT, EvaluatedRegistry
from modelyard.cli.output import write_html
from modelyard.errors import ModelyardError
from modelyard.evaluation.measures.paired import PairedTest
from modelyard.images.pictures import write_pictures
from modelyard.registry.comparison.comparison import Comparison, Measure, Setting, compare
from modelyard.registry.comparison.page import draw_page
from modelyard.registry.comparison.side_by_side import Columns
from modelyard.registry.comparison.splits import find_test_split
from modelyard.registry.comparison.table import draw_table
from modelyard.registry.comparison.words import give_verdict, show_p_value, show_value
from modelyard.registry.evidence import read_evidence
from modelyard.registry.parameter_words import show_setting
from modelyard.registry.versions import find_version
from picture_folders import hold_files
from tflite_models import encode

# Of twelve images, the first is wrong on two; the second on the last of these, otherwise, and on another.
FIRST = (5, 6, *RIGHT[2:])
SECOND = (0, 7, 3, *RIGHT[3:])
COMMITS = ({"git.commit": "a" * 40, "git.dirty": "true"}, {"git.commit": "b" * 40, "git.dirty": "false"})


@pytest.fixture
def registry(tmp_path: Path) -> EvaluatedRegistry:
    return EvaluatedRegistry(tmp_path / "registry")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Two versions that disagree on three images, with other parameters and commits."""
    registry = EvaluatedRegistry(tmp_path_factory.mktemp("compared"))
    for answers, epochs, tags in zip((FIRST, SECOND), "25", COMMITS, strict=True):
        network = {"2": "cnn", "5": "mlp"}[epochs]
        params = {"model.name": network, "train.epochs": epochs, "train.seed": "0", "modelyard.x": epochs}
        run_id = registry.start_run(params)
        libraries = {"libraries": f"numpy 2.4.{epochs}, mlflow 3.17.2"}
        registry.evaluate(answers, run_id=run_id, tags={**tags, **libraries})
    registry.point(1, "champion")
    return compare_versions(registry, "1", "2")


def test_metrics_stand_side_by_side_with_their_intervals(comparison: Comparison) -> None:
    accuracy = comparison.measures[0]
    assert (accuracy.name, accuracy.better) == ("test/accuracy", None)
    assert accuracy.first == accuracy.second == pytest.approx(10 / 12)
    assert accuracy.first_interval == pytest.approx((0.552, 0.953), abs=1e-3)
    assert "test/accuracy_low" not in [one.name for one in comparison.measures]


def test_the_better_number_is_named_where_there_is_a_better_one(registry: EvaluatedRegistry) -> None:
    registry.evaluate(FIRST)
    registry.evaluate(RIGHT)
    better = {one.name: one.better for one in compare_versions(registry, "1", "2").measures}
    assert (better["test/accuracy"], better["test/errors"], better["test/log_loss"]) == ("second",) * 3
    assert (better["latency/p50_ms"], better["size_bytes"]) == (None, None)
    turned = {one.name: one.better for one in compare_versions(registry, "2", "1").measures}
    assert (turned["test/accuracy"], turned["test/errors"]) == ("first", "first")


def test_numbers_on_corrupted_pictures_are_told_apart_where_both_were_asked_as_many(
    registry: EvaluatedRegistry,
) -> None:
    registry.evaluate()
    registry.evaluate()
    first, second = (
        read_evidence(registry.tracking, find_version(registry.client, "mnist", n)) for n in "12"
    )

    def better(mean: float | None, answers: int) -> str | None:
        ours = {"robustness/mean_accuracy": 0.9, "robustness/answers": 150.0}
        theirs = {} if mean is None else {"robustness/mean_accuracy": mean, "robustness/answers": answers}
        sides = [
            replace(one, metrics={**one.metrics, **more}) for one, more in ((first, ours), (second, theirs))
        ]
        compared = compare(registry.tracking, *sides)
        assert "robustness/mean_accuracy" in draw_table([compared], 120)
        (row,) = [one for one in compared.measures if one.name.startswith("robustness/")]
        assert (row.first, row.second) == (0.9, mean)
        return row.better

    assert better(0.95, 150) == "second"
    assert better(0.95, 15) is None
    assert better(None, 0) is None


def test_only_what_differs_is_listed(comparison: Comparison) -> None:
    assert comparison.params == (Setting("model.name", "cnn", "mlp"), Setting("train.epochs", "2", "5"))
    assert comparison.data == ()
    assert comparison.libraries == (Setting("numpy", "2.4.2", "2.4.5"),)
    assert comparison.code == (
        Setting("git.commit", "a" * 40, "b" * 40),
        Setting("git.dirty", "true", "false"),
    )


def test_two_versions_of_one_run_differ_in_their_precision(registry: EvaluatedRegistry) -> None:
    run_id = registry.start_run()
    registry.evaluate(run_id=run_id)
    registry.evaluate(run_id=run_id, tags={"precision": "int8", "data.digest": "c" * 64})
    found = compare_versions(registry, "1", "2")
    assert found.params == (Setting("package.precision", "float32", "int8"),)
    assert found.data == (Setting("data.digest", None, "c" * 64),)


def test_the_same_images_are_looked_at_one_by_one(comparison: Comparison) -> None:
    same = comparison.same_images
    assert same is not None
    assert (same.images, same.test) == (12, PairedTest(1, 1, 12, 1.0))
    shown = [(one.index, one.label, one.first, one.second, one.right) for one in same.disagreements]
    assert shown == [(0, "0", "5", "0", "second"), (1, "1", "6", "7", None), (2, "2", "2", "3", "first")]
    assert same.disagreements[0].first_score == pytest.approx(0.91)
    assert (same.first_confusion[0, 5], same.second_confusion[0, 5], same.second_confusion[2, 3]) == (1, 0, 1)


def test_json_has_it_all(comparison: Comparison) -> None:
    found = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    assert (found["name"], found["first"]["version"], found["second"]["version"]) == ("mnist", 1, 2)
    assert found["first"]["aliases"] == ["champion"]
    assert found["first"]["metrics"]["class/0/recall"] == 0.5
    assert found["same_images"]["disagreements"][1] == {
        "index": 1,
        "name": "image 1",
        "label": "1",
        "first": "6",
        "second": "7",
        "first_score": pytest.approx(0.91),
        "second_score": pytest.approx(0.91),
    }
    same = found["same_images"]
    assert (same["only_first"], same["only_second"], same["p_value"]) == (1, 1, 1.0)
    assert same["significant"] is False
    assert sum(map(sum, same["first_confusion"])) == 12


def test_versions_tested_on_different_data_are_refused(registry: EvaluatedRegistry) -> None:
    registry.evaluate()
    registry.evaluate(pictures=replace(PICTURES, levels=255 - PICTURES.levels))
    with pytest.raises(ModelyardError, match=r"measured on the same data, models:/mnist/1 was on mnist-test"):
        compare_versions(registry, "1", "2")


def test_a_version_that_was_tested_and_keeps_no_predictions_is_refused(registry: EvaluatedRegistry) -> None:
    registry.evaluate()
    (registry.kept(registry.evaluate()) / "predictions.npz").unlink()
    with pytest.raises(ModelyardError, match=r"models:/mnist/2: expected evaluation/.*/predictions\.npz"):
        compare_versions(registry, "1", "2")


def test_a_version_that_was_never_evaluated_is_refused(registry: EvaluatedRegistry, tmp_path: Path) -> None:
    registry.evaluate()
    registry.client.create_model_version("mnist", tmp_path.as_uri())
    with pytest.raises(ModelyardError, match=r"models:/mnist/2: expected a version that was evaluated"):
        compare_versions(registry, "1", "2")


def test_versions_with_other_classes_are_refused(registry: EvaluatedRegistry) -> None:
    registry.evaluate()
    report = registry.kept(registry.evaluate()) / "report.json"
    report.write_text(report.read_text().replace('"7"', '"seven"'))
    with pytest.raises(ModelyardError, match=r"expected two versions with the same classes, .* seven, 8"):
        compare_versions(registry, "1", "2")


def test_models_without_labels_are_compared_by_what_there_is(registry: EvaluatedRegistry) -> None:
    for p50_ms in (31.0, 14.0):
        registry.evaluate_unlabelled(p50_ms)
    found = compare_versions(registry, "1", "2", name="colours")
    assert found.same_images is None
    assert [one.better for one in found.measures if one.name == "latency/p50_ms"] == ["second"]
    assert "no accuracy to compare" in give_verdict(found)
    assert "no accuracy to compare" in draw_page([found], None)
    assert found.to_json()["same_images"] is None


@pytest.mark.parametrize(
    ("test", "verdict"),
    [
        (
            PairedTest(200, 24, 12, 1e-30),
            "Version 1 is significantly more accurate: of 12 images, version 1 alone is right on 200 and",
        ),
        (
            PairedTest(24, 200, 12, 1e-30),
            "Version 2 is significantly more accurate: of 12 images, version 1 alone is right on 24 and",
        ),
        (
            PairedTest(4, 9, 12, 0.27),
            "The difference is not significant and may be luck: of 12 images, version 1 alone is right on 4",
        ),
        (
            PairedTest(4, 4, 12, 1.0),
            "Both are right equally often: of 12 images, version 1 alone is right on 4",
        ),
    ],
)
def test_the_verdict_is_one_sentence(comparison: Comparison, test: PairedTest, verdict: str) -> None:
    assert comparison.same_images is not None
    found = give_verdict(replace(comparison, same_images=replace(comparison.same_images, test=test)))
    assert found.startswith(verdict)
    assert found.endswith(f"(McNemar's exact test, {show_p_value(test.p_value)}).")


def test_a_version_beside_itself_is_said_to_be_the_same(registry: EvaluatedRegistry) -> None:
    registry.evaluate()
    assert give_verdict(compare_versions(registry, "1", "1")).startswith("Both are version 1")


def test_numbers_are_shown_with_their_units() -> None:
    shown = [
        *[show_value("test/accuracy", 0.99291), show_value("test/errors", 1234.0)],
        *[show_value("size_bytes", 1_651_929), show_value("latency/p50_ms", 0.0932)],
        *[show_value("load_ms", 160.2), show_value("test/log_loss", 0.019976), show_value("x", None)],
    ]
    assert shown == ["99.29%", "1,234", "1.65 MB", "0.0932 ms", "160 ms", "0.0200", "none"]
    assert [show_p_value(p) for p in (1e-30, 0.0123, 0.5, 1.0)] == [
        *["p < 0.000001", "p = 0.012", "p = 0.50", "p = 1.00"]
    ]


def test_the_table_marks_the_better_number(registry: EvaluatedRegistry) -> None:
    registry.evaluate(FIRST)
    registry.evaluate(RIGHT)
    lines = draw_table([compare_versions(registry, "1", "2")], columns=100).splitlines()
    [errors] = [line.split() for line in lines if line.startswith("test/errors")]
    assert errors == ["test/errors", "2", "(1-5)", "*", "0", "(0-3)"]


def test_the_table_is_no_wider_than_the_terminal(comparison: Comparison) -> None:
    long = replace(comparison, params=(Setting("model.layers", "[1, 2, 3] " * 20, None),))
    for columns in (80, 120):
        text = draw_table([long], columns)
        assert max(map(len, text.splitlines())) <= columns
        assert text.count("3]") == 20
    assert "git.commit" in text
    assert "a" * 12 in text
    assert "a" * 13 not in text


def test_the_page_stands_alone_and_is_well_formed(comparison: Comparison) -> None:
    page = draw_page([comparison], PICTURES)
    reader = read_page(page)
    assert reader.open == []
    assert all(source.startswith("data:image/png;base64,") for source in reader.sources)
    assert not re.search(r"https?://|@import|url\(|<script|<link", page)
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page


def test_the_page_shows_the_very_images_in_dispute(comparison: Comparison) -> None:
    reader = read_page(draw_page([comparison], PICTURES))
    shown = [decode(source) for source in reader.sources]
    # By who is right: the second, which is newer, the first, neither.
    for pixels, index in zip(shown, (0, 2, 1), strict=True):
        np.testing.assert_array_equal(pixels, PICTURES.levels[index])
    assert reader.alternatives == [f"image {index}, labelled {index}" for index in (0, 2, 1)]


def test_the_page_shows_both_confusion_matrices(comparison: Comparison) -> None:
    page = draw_page([comparison], PICTURES)
    first, second = re.findall(r'<table class="matrix">(.*?)</table>', page, re.DOTALL)
    assert "version 1 (cnn, champion): 2 of 12 wrong" in first
    assert "version 2 (mlp): 2 of 12 wrong" in second
    assert (first.count('class="wrong"'), first.count('class="right"')) == (2, 10)


def test_both_confusion_matrices_have_one_scale_of_colours(comparison: Comparison) -> None:
    same = comparison.same_images
    assert same is not None
    few, many = np.diag([9] * 10), np.diag([9] * 10)
    few[0, 1], many[0, 1], many[2, 3] = 5, 5, 400
    page = draw_page(
        [replace(comparison, same_images=replace(same, first_confusion=few, second_confusion=many))], None
    )
    heats = re.findall(r'style="--heat:([\d.]+)">(\d+)<', page)
    assert heats == [("0.27", "5"), ("0.27", "5"), ("1.00", "400")]


def test_what_was_done_differently_stands_before_the_pictures(comparison: Comparison) -> None:
    page = draw_page([comparison], PICTURES)
    assert "<h1>mnist: version 1 (cnn, champion) and version 2 (mlp)</h1>" in page
    order = [
        page.index(mark)
        for mark in ("train.<wbr>epochs", 'class="matrix"', "Only version 2", "Only version 1")
    ]
    assert order == sorted(order)


def test_twenty_pictures_of_a_group_are_shown_and_the_rest_is_folded(comparison: Comparison) -> None:
    same = comparison.same_images
    assert same is not None
    many = replace(same, disagreements=same.disagreements[:1] * 23 + same.disagreements[1:])
    page = draw_page([replace(comparison, same_images=many)], PICTURES)
    shown, folded = re.split("<details><summary>3 more</summary>", page)
    assert shown.count("<li>") == 20
    assert folded.partition("</details>")[0].count("<li>") == 3
    assert page.count("<li>") == 25


def test_several_versions_stand_in_columns_beside_the_first(registry: EvaluatedRegistry) -> None:
    for answers, epochs in ((FIRST, "2"), (RIGHT, "2"), (SECOND, "5")):
        registry.evaluate(answers, run_id=registry.start_run({"train.epochs": epochs}))
    both = [compare_versions(registry, "1", other) for other in "23"]
    columns = Columns(both)
    assert [one.version for one in columns.versions] == [1, 2, 3]
    errors = columns.measures()["test/errors"]
    assert [(cell.value, cell.best) for cell in errors] == [(2, False), (0, True), (2, False)]
    assert columns.settings()["parameters"] == {"train.epochs": ["2", "2", "5"]}
    page = draw_page(both, PICTURES)
    assert read_page(page).open == []
    assert page.count('<table class="matrix">') == 3
    assert "Version 1 and version 3 on the same 12 images" in page


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (
            "[{'filters': 16, 'kernel': 5, 'stride': 1, 'padding': 'valid', 'pool': 2}, "
            "{'filters': 32, 'kernel': 3, 'stride': 2, 'padding': 'same', 'pool': 1}]",
            "16 filters of 5x5, pooled by 2; 32 filters of 3x3, every 2 pixels, with a margin",
        ),
        *[("[]", "none"), ("[128, 64]", "128, 64"), ("None", "none"), ("True", "yes"), ("0.010", "0.010")],
        *[("[{'rate': None}]", "rate none"), ("[1, 2", "[1, 2"), ("(x)", "(x)"), ("cosine", "cosine")],
    ],
)
def test_parameters_are_written_in_words(value: str, shown: str) -> None:
    assert show_setting(value) == shown


def test_without_the_images_the_page_says_how_to_get_them_and_lists_them(comparison: Comparison) -> None:
    page = draw_page([comparison], None)
    assert read_page(page).sources == []
    assert "<code>dvc pull</code> or <code>make repro</code>" in page
    assert (
        '<th scope="row">image 1</th><td>1</td><td>6 <small>91.00 %</small></td><td>7 <small>91.00 %</small>'
        in page
    )


def test_files_are_shown_small_with_their_names_and_what_is_gone_says_so(
    comparison: Comparison, tmp_path: Path
) -> None:
    large = np.full((300, 900, 3), (200, 30, 10), np.uint8)
    files = [encode(large) for _ in PICTURES.labels]
    pictures = hold_files(tmp_path, files, PICTURES.labels, PICTURES.classes)
    (tmp_path / pictures.name(2)).unlink()
    page = draw_page([comparison], pictures)
    reader = read_page(page)
    assert [decode(source).shape for source in reader.sources] == [(43, 128, 3)] * 2
    assert all(source.startswith("data:image/jpeg;base64,") for source in reader.sources)
    assert np.abs(decode(reader.sources[0]).astype(int) - (200, 30, 10)).max() < 8
    assert f"{pictures.name(2)}: No such file" in page


def test_of_many_classes_the_page_shows_those_with_the_most_mistakes(comparison: Comparison) -> None:
    same = comparison.same_images
    assert same is not None
    many = np.eye(1000, dtype=np.int64)
    many[700, 3] = 5
    names = tuple(f"class {place}" for place in range(1000))
    large = replace(same, classes=names, first_confusion=many, second_confusion=many)
    page = draw_page([replace(comparison, same_images=large)], None)
    assert "The 960 classes with the fewest mistakes are left out." in page
    first, _ = re.findall(r'<table class="matrix long">(.*?)</table>', page, re.DOTALL)
    assert '<th scope="row">class 700</th>' in first
    assert "5 of 1,005 wrong" in first
    assert first.count('class="wrong"') == 1


def test_what_comes_from_others_is_text_on_the_page(comparison: Comparison) -> None:
    hostile = "<script>alert('x')</script>"
    second = replace(comparison.second, aliases=(hostile,))
    measures = (*comparison.measures, Measure(hostile, 1.0, 2.0, None, None, None))
    params = (Setting(hostile, hostile, hostile + "2"),)
    page = draw_page([replace(comparison, second=second, measures=measures, params=params)], None)
    assert "<script" not in page
    assert "alert(&#39;x&#39;)" in page


def test_a_page_that_cannot_be_drawn_leaves_the_old_one(comparison: Comparison, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_html(path, draw_page([comparison], None))
    before = path.read_bytes()
    with pytest.raises(IndexError):
        write_html(path, draw_page([comparison], PICTURES.take(np.arange(1))))
    assert path.read_bytes() == before
    assert list(tmp_path.glob(".page*")) == []


def test_the_test_split_is_found_where_it_is_the_one_of_the_digest(repository: Path) -> None:
    assert find_test_split(PICTURES.digest) is None
    path = repository / "data" / "test.npz"
    write_pictures(path, PICTURES)
    found = find_test_split(PICTURES.digest)
    assert found is not None
    assert found.digest == PICTURES.digest
    assert find_test_split("0" * 64) is None
    path.write_bytes(b"nothing")
    assert find_test_split(PICTURES.digest) is None


class PageReader(HTMLParser):
    """Keeps the elements that are still open, and what images show."""

    VOID = frozenset({"meta", "img", "wbr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.alternatives: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            found = dict(attrs)
            self.sources.append(str(found["src"]))
            self.alternatives.append(str(found["alt"]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read_page(page: str) -> PageReader:
    reader = PageReader()
    reader.feed(page)
    return reader


def decode(source: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))


def compare_versions(registry: EvaluatedRegistry, *references: str, name: str = "mnist") -> Comparison:
    versions = [find_version(registry.client, name, reference) for reference in references]
    first, second = (read_evidence(registry.tracking, version) for version in versions)
    return compare(registry.tracking, first, second)
