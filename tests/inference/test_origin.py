"""What a bundle's provenance says of its origin, whoever wrote it."""

from pathlib import Path
from typing import Any

import pytest

from modelyard.inference.bundle import Bundle, Preprocessing
from modelyard.inference.origin import describe_network, describe_origin

TAGS = {"git.commit": "cbd462fc144ae2bb", "git.dirty": "false"}


def make_bundle(provenance: dict[str, Any], precision: str = "float32") -> Bundle:
    preprocessing = Preprocessing("stretch", 8, 8, 1)
    return Bundle(Path(), "mnist", precision, (), preprocessing, provenance, "0" * 64, 1)


def train(**tags: str) -> dict[str, Any]:
    return {"training": {"run": {"params": {"model.name": "cnn"}, "tags": TAGS | tags}}}


@pytest.mark.parametrize(
    ("provenance", "precision", "told"),
    [
        (train(), "float32", "mnist, cnn, commit cbd462f"),
        (train(**{"git.dirty": "true"}), "int8", "mnist, cnn int8, commit cbd462f with changes"),
        ({"source": {"name": "mobilenet"}}, "float32", "mnist, mobilenet"),
        ({"source": {"name": "mnist"}}, "int8", "mnist, int8"),
        ({"source": {"name": "mnist"}}, "float32", "mnist, float32"),
        ({"training": {"run": ["nothing"]}}, "float32", "mnist, float32"),
        (train(**{"git.commit": "\x1b[31m"}), "float32", "mnist, cnn"),
    ],
)
def test_a_bundle_is_told_by_model_network_and_commit(
    provenance: dict[str, Any], precision: str, told: str
) -> None:
    assert describe_origin(make_bundle(provenance, precision)) == told


def test_a_network_without_a_name_is_told_by_its_precision() -> None:
    assert [describe_network(None, precision, "mnist") for precision in ("int8", None)] == ["int8", ""]
