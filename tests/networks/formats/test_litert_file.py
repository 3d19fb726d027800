"""A LiteRT file of others: asked as it is, joined with its scaling and softmax, cut for features."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.schema_py_generated import ModelT

from foreign_networks import (
    CLASSES,
    PICTURES,
    SIDE,
    assert_converts,
    describe_network,
    import_network,
    make_keras_network,
    run_converted,
)
from modelyard.errors import ModelyardError
from modelyard.inference.fits import fit_pixels
from modelyard.networks.convert import convert_function, convert_network
from modelyard.networks.opening import open_network

PLAIN = {"input__mean": 0.0, "input__scale": 1.0}


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return make_keras_network()


@pytest.fixture(scope="module")
def model(network: keras.Model) -> bytes:
    return convert_network(network, "float32")


@pytest.fixture
def file(model: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "mine.tflite"
    path.write_bytes(model)
    return path


@pytest.fixture(autouse=True)
def _inside(repository: Path) -> None:
    """A relative path is below the repository."""


def prepare() -> np.ndarray:
    fitted = np.stack([fit_pixels("stretch", picture, SIDE, SIDE) for picture in PICTURES])
    return ((fitted - [120.0, 130.0, 110.0]) * [0.01, 0.02, 0.015]).astype(np.float32)


def assert_refused(path: Path, out: Path, message: str, **changes: Any) -> None:
    with pytest.raises(ModelyardError, match=message) as refused:
        import_network(describe_network("litert", path, **changes), out)
    assert "\n" not in str(refused.value)
    assert not out.exists()


def test_a_file_answers_as_it_is_and_joined_with_its_scaling(
    file: Path, network: keras.Model, tmp_path: Path
) -> None:
    imported = import_network(describe_network("litert", file), tmp_path / "out")
    with open_network(imported) as opened:
        given = assert_converts(opened, imported, tmp_path)
        by_file = opened.answer_files([path.read_bytes() for path in imported.samples])
    np.testing.assert_allclose(given, network(prepare()), atol=1e-5)
    assert by_file is not None
    assert by_file.shape == (2, CLASSES)


def test_the_weights_stay_as_they_are(file: Path, model: bytes, tmp_path: Path) -> None:
    imported = import_network(describe_network("litert", file), tmp_path / "out")
    with open_network(imported) as opened:
        joined = ModelT.InitFromPackedBuf(opened.convert("float32"))
    kept = {bytes(one.data) for one in joined.buffers if one.data is not None}
    large = {
        bytes(one.data)
        for one in ModelT.InitFromPackedBuf(model).buffers
        if one.data is not None and len(one.data) > 100
    }
    assert large
    assert large <= kept


def test_a_file_that_takes_levels_as_they_are_needs_nothing_around_it(
    network: keras.Model, tmp_path: Path
) -> None:
    scaled = keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Rescaling(0.01, -1.2), network])
    path = tmp_path / "mine.tflite"
    path.write_bytes(convert_network(scaled, "float32"))
    imported = import_network(describe_network("litert", path, **PLAIN), tmp_path / "out")
    with open_network(imported) as opened:
        assert_converts(opened, imported, tmp_path)


def test_logits_in_blue_green_red_are_seen_to(network: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / "mine.tflite"
    path.write_bytes(convert_network(make_keras_network("linear"), "float32"))
    changes = {"output__activation": "logits", "input__order": "bgr"}
    imported = import_network(describe_network("litert", path, **changes), tmp_path / "out")
    with open_network(imported) as opened:
        given = assert_converts(opened, imported, tmp_path)
    np.testing.assert_allclose(given, network(prepare()[..., ::-1]), atol=1e-5)


def test_channels_first_are_seen_to(tmp_path: Path) -> None:
    kernel = tf.constant(np.random.default_rng(1).normal(0, 2, (3, CLASSES)).astype(np.float32))
    path = tmp_path / "mine.tflite"
    path.write_bytes(
        convert_function(
            lambda image: tf.nn.softmax(tf.reduce_mean(image, (2, 3)) @ kernel), (3, SIDE, SIDE), "float32"
        )
    )
    imported = import_network(describe_network("litert", path), tmp_path / "out")
    with open_network(imported) as opened:
        assert_converts(opened, imported, tmp_path)


def name_of_mean(model: bytes) -> str:
    [graph] = ModelT.InitFromPackedBuf(model).subgraphs
    return next(tensor.name.decode() for tensor in graph.tensors if list(tensor.shape) == [1, 8])


def test_features_are_cut_at_the_tensor_that_conf_names(
    file: Path, model: bytes, network: keras.Model, tmp_path: Path
) -> None:
    pretrained = describe_network("litert", file, features=name_of_mean(model))
    imported = import_network(pretrained, tmp_path / "out")
    with open_network(imported) as opened:
        features = opened.convert_features("float32")
        untouched = [opened.pool(picture) for picture in PICTURES]
    given = run_converted(features, imported, tmp_path)
    expected = keras.Model(network.inputs, network.get_layer("pooled").output)(prepare())
    np.testing.assert_allclose(given, expected, atol=1e-4)
    np.testing.assert_allclose(np.concatenate(untouched), expected, atol=1e-4)
    names = [tensor.name for tensor in ModelT.InitFromPackedBuf(features).subgraphs[0].tensors]
    weights = network.get_layer("scores").kernel.numpy().T.tobytes()
    assert names
    assert weights in model
    assert weights not in features, "what comes after the tensor is left out"


def test_a_tensor_that_is_not_there_is_named_with_one_that_is(
    file: Path, model: bytes, tmp_path: Path
) -> None:
    name = name_of_mean(model)
    imported = import_network(describe_network("litert", file, features=name[:-1]), tmp_path / "out")
    with open_network(imported) as opened, pytest.raises(ModelyardError) as refused:
        opened.convert_features("float32")
    assert f"the file has none (but '{name}'" in str(refused.value)


def test_another_precision_than_its_own_is_an_error_of_one_line(file: Path, tmp_path: Path) -> None:
    imported = import_network(describe_network("litert", file), tmp_path / "out")
    with open_network(imported) as opened, pytest.raises(ModelyardError, match="got int8: ") as refused:
        opened.convert("int8")
    assert "\n" not in str(refused.value)


def edit_model(model: bytes, change: Callable[[Any], Any]) -> bytes:
    edited = ModelT.InitFromPackedBuf(model)
    edited.subgraphs[0].outputs = list(edited.subgraphs[0].outputs)
    change(edited)
    builder = flatbuffers.Builder(len(model))
    builder.Finish(edited.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def make_custom(model: Any) -> None:
    model.operatorCodes[0].builtinCode = 32
    model.operatorCodes[0].customCode = b"FlexReadFile"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (make_custom, r"the op 'FlexReadFile' is not LiteRT's own \(custom or flex\): refused"),
        (lambda model: model.subgraphs[0].outputs.append(0), "one graph with one input and output"),
    ],
)
def test_what_is_not_a_plain_model_is_refused(
    model: bytes, tmp_path: Path, change: Callable[[Any], Any], message: str
) -> None:
    path = tmp_path / "mine.tflite"
    path.write_bytes(edit_model(model, change))
    assert_refused(path, tmp_path / "out", message)


def test_a_fully_quantised_file_is_refused(network: keras.Model, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as saved:
        network.export(saved, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(saved)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in prepare())
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        path = tmp_path / "mine.tflite"
        path.write_bytes(converter.convert())
    assert_refused(path, tmp_path / "out", "expected float32, got uint8: a fully quantised file is not read")


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_page_or_half_a_file_is_an_error_of_one_line(model: bytes, tmp_path: Path, share: float) -> None:
    path = tmp_path / "mine.tflite"
    path.write_bytes(model[: int(len(model) * share)] or b"<!DOCTYPE html><html></html>")
    assert_refused(path, tmp_path / "out", "mine/mine.tflite: ")


def test_another_size_than_conf_says_is_an_error_that_names_both(file: Path, tmp_path: Path) -> None:
    message = r"expected an input of 224 x 224 x 3 \(pretrained.input\), the network takes 32 x 32 x 3"
    assert_refused(file, tmp_path / "out", message, input__height=224, input__width=224)
