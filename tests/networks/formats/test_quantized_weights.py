"""Weights as TensorFlow.js publishes them."""

from pathlib import Path

import numpy as np
import pytest

from modelyard.errors import ModelyardError
from modelyard.networks.formats.quantized_weights import read_javascript_weights, read_weights, write_weights
from stand_in_package import weight_shapes, write_package

SHAPES = {"first/kernel": (30, 50), "second/bias": (100,)}


def read(folder: Path):
    model = folder / "model.min.js"
    return read_javascript_weights(model, sorted(folder.glob("group1-*")))


def test_every_weight_gets_its_bytes_shape_and_range(tmp_path: Path) -> None:
    write_package(tmp_path, SHAPES)
    weights = read(tmp_path)
    assert {name: weight.values.shape for name, weight in weights.items()} == SHAPES
    expected = (np.arange(1500, 1600) % 256) * 0.5 - 1.5
    np.testing.assert_array_equal(weights["second/bias"].dequantize(), expected.astype(np.float32))


def test_written_weights_are_read_as_float32(tmp_path: Path) -> None:
    write_package(tmp_path, weight_shapes())
    weights = read(tmp_path)
    write_weights(tmp_path / "weights.npz", weights)
    back = read_weights(tmp_path / "weights.npz")
    assert list(back) == list(weights)
    for name, values in back.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, weights[name].dequantize())


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    write_package(tmp_path, SHAPES)
    paths = [tmp_path / "one.npz", tmp_path / "two.npz"]
    for path in paths:
        write_weights(path, read(tmp_path))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_shards_that_lack_bytes_are_refused(tmp_path: Path) -> None:
    write_package(tmp_path, SHAPES, missing_bytes=1)
    with pytest.raises(ModelyardError, match="expected 1,600 bytes of weights, the shards hold 1,599"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("model.min.js", "no manifest", "expected a TensorFlow.js model with a weightsManifest"),
        ("model.min.js", "weightsManifest:[{weights:[{name:1}]}]", "expected a list of uint8 weights"),
        ("model.min.js", "weightsManifest:[{weights", "expected a list of uint8 weights"),
        ("group1-shard1of2.min.js", "nothing", "expected one long base64 text, found 0"),
    ],
)
def test_a_file_of_another_format_is_named(tmp_path: Path, file: str, text: str, message: str) -> None:
    write_package(tmp_path, SHAPES)
    (tmp_path / file).write_text(text)
    with pytest.raises(ModelyardError, match=f"{file}: {message}"):
        read(tmp_path)


def test_a_file_without_weights_is_no_archive_of_them(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelyardError, match="run `dvc repro import`"):
        read_weights(path)
