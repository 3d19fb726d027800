"""What a fuzzer found: each file once broke its reader, and is now refused in one short line."""

from pathlib import Path

import pytest

from conftest import ROOT
from foreign_networks import describe_network
from modelyard.errors import ModelyardError
from modelyard.images.idx.idx_files import _read_npz
from modelyard.networks.importing.labels import read_labels
from modelyard.sources.archives import unpack_archive

CORPUS = ROOT / "tests/corpus"


def read_archive(file: Path, scratch: Path) -> None:
    unpack_archive(file, scratch / "unpacked", 1_000_000)


def read_npz(file: Path, scratch: Path) -> None:
    copy = scratch / "arrays.npz"
    copy.write_bytes(file.read_bytes())
    _read_npz(copy, "arrays.npz")


def read_json_labels(file: Path, scratch: Path) -> None:
    labels = {"format": "json", "file": "names.json", "sha256": None}
    output = {"classes": 10, "named": 10, "activation": "softmax"}
    pretrained = describe_network("litert", scratch / "mine.tflite", labels=labels, output=output)
    read_labels(pretrained, {"names.json": file})


READERS = {"archives": read_archive, "idx": read_npz, "labels": read_json_labels}


@pytest.mark.parametrize("name", sorted(str(file.relative_to(CORPUS)) for file in CORPUS.glob("*/*")))
def test_a_file_that_broke_its_reader_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    read = READERS[Path(name).parts[0]]
    with pytest.raises(ModelyardError) as caught:
        read(CORPUS / name, tmp_path)
    message = str(caught.value).removeprefix(str(CORPUS / name))
    assert "\n" not in message
    assert len(message) < 500
