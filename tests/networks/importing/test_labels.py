"""Labels of every format, and counts that do not fit."""

from pathlib import Path
from typing import Any

import pytest

from foreign_networks import describe_network
from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Label
from modelyard.networks.importing.labels import read_labels

ANT, BEE = Label("ant"), Label("bee")
NONE = Label(None)


def read(tmp_path: Path, labels: dict[str, Any], text: str, classes: int, named: int) -> tuple[Label, ...]:
    if labels["format"] != "list":
        labels = {"file": "names.txt", "sha256": None, **labels}
    (tmp_path / "names.txt").write_text(text, encoding="utf-8")
    output = {"classes": classes, "named": named, "activation": "softmax"}
    pretrained = describe_network("litert", tmp_path / "mine.tflite", labels=labels, output=output)
    return read_labels(pretrained, {"names.txt": tmp_path / "names.txt"})


@pytest.mark.parametrize(
    ("labels", "text", "expected"),
    [
        ({"format": "lines"}, "ant\nbee\n", (ANT, BEE)),
        ({"format": "lines"}, "\ufeffant\r\nbee\r\n\r\n", (ANT, BEE)),
        ({"format": "lines", "offset": 1}, "ant\nbee", (NONE, ANT, BEE)),
        (
            {"format": "lines"},
            "n02206856 bee\nn02012849 crane\nn03126707 crane\n",
            (Label("bee", "n02206856"), Label("crane", "n02012849"), Label("crane", "n03126707")),
        ),
        ({"format": "json"}, '["ant", "bee"]', (ANT, BEE)),
        ({"format": "json", "offset": 1}, '["ant", "bee"]', (NONE, ANT, BEE)),
        ({"format": "json"}, '{"1": "bee", "0": "ant"}', (ANT, BEE)),
        ({"format": "json", "offset": 2}, '{"0": "ant"}', (NONE, NONE, ANT)),
        ({"format": "json"}, '{"0": ["n02206856", "bee"]}', (Label("bee", "n02206856"),)),
        ({"format": "list", "names": ["ant", "bee"]}, "", (ANT, BEE)),
        ({"format": "list", "names": ["ant", "bee"], "offset": 1}, "", (NONE, ANT, BEE)),
    ],
)
def test_labels_of_every_format_stand_where_the_outputs_are(
    tmp_path: Path, labels: dict[str, Any], text: str, expected: tuple[Label, ...]
) -> None:
    named = sum(label.name is not None for label in expected)
    assert read(tmp_path, labels, text, len(expected), named) == expected


@pytest.mark.parametrize(
    ("labels", "text", "message"),
    [
        ({"format": "lines"}, "ant\nbee\n", r"names\.txt: expected names for 3 of 4 outputs .*, got 2"),
        ({"format": "lines"}, "a\nb\nc\nd\n", "expected names for 3 of 4 outputs .*, got 4"),
        (
            {"format": "lines", "offset": 2},
            "a\nb\nc\n",
            "got one for output 4, .* offset 2",
        ),
        ({"format": "lines"}, "a\n\nc\n", r"names\.txt, line 2: expected a label, got an empty line"),
        (
            {"format": "json"},
            "[1, 2]",
            r"expected a JSON list of labels.*: expected a name, .*'1'",
        ),
        ({"format": "json"}, '{"one": "ant"}', "expected the number of an output, got 'one'"),
        ({"format": "json"}, '{"0": ["n1", "a", "b"]}', r"expected a name, or \[synset, name\]"),
        ({"format": "json"}, '{"%s": "ant"}' % ("1" * 5000), "number of an output, got '1{80}'$"),
        ({"format": "json"}, "[" * 5000, "got one of lists in lists"),
        ({"format": "json"}, "[%s]" % ("1" * 5000), "expected a JSON list of labels"),
        ({"format": "json"}, "ant", "expected a JSON list of labels"),
        ({"format": "json"}, '"ant"', "expected a JSON list of labels"),
        ({"format": "json"}, '{"4": "ant"}', "got one for output 4"),
        (
            {"format": "list", "names": ["ant"]},
            "",
            r"labels\.names: expected names for 3 .* got 1",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_both_numbers(
    tmp_path: Path, labels: dict[str, Any], text: str, message: str
) -> None:
    with pytest.raises(ModelyardError, match=message):
        read(tmp_path, labels, text, classes=4, named=3)
