"""A Keras file of others: whole or weights alone, converted, and refused unread where it could do more."""

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

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
from modelyard.networks.opening import open_network


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return make_keras_network()


@pytest.fixture(autouse=True)
def _inside(repository: Path) -> None:
    """A relative path is below the repository."""


def prepare() -> np.ndarray:
    fitted = np.stack([fit_pixels("stretch", picture, SIDE, SIDE) for picture in PICTURES])
    return ((fitted - [120.0, 130.0, 110.0]) * [0.01, 0.02, 0.015]).astype(np.float32)


def assert_refused(path: Path, out: Path, message: str, **changes: Any) -> None:
    changes = {"architecture": None, **changes}
    with pytest.raises(ModelyardError, match=message) as refused:
        import_network(describe_network("keras", path, **changes), out)
    assert "\n" not in str(refused.value)
    assert not out.exists()


@pytest.mark.parametrize("name", ["mine.keras", "mine.h5"])
def test_a_whole_network_answers_and_converts(network: keras.Model, tmp_path: Path, name: str) -> None:
    network.save(tmp_path / name)
    imported = import_network(describe_network("keras", tmp_path / name), tmp_path / "out")
    with open_network(imported) as opened:
        given = assert_converts(opened, imported, tmp_path)
        small = opened.convert("int8")
    np.testing.assert_allclose(given, network(prepare()), atol=1e-5)
    assert run_converted(small, imported, tmp_path).shape == given.shape


def test_logits_get_their_softmax(network: keras.Model, tmp_path: Path) -> None:
    make_keras_network("linear").save(tmp_path / "mine.keras")
    pretrained = describe_network("keras", tmp_path / "mine.keras", output__activation="logits")
    imported = import_network(pretrained, tmp_path / "out")
    with open_network(imported) as opened:
        np.testing.assert_allclose(assert_converts(opened, imported, tmp_path), network(prepare()), atol=1e-5)


@pytest.mark.parametrize(("layer", "width"), [("pooled", 8), ("stem", 8), ("scores", CLASSES)])
def test_features_are_pooled_from_the_layer_that_conf_names(
    network: keras.Model, tmp_path: Path, layer: str, width: int
) -> None:
    network.save(tmp_path / "mine.keras")
    pretrained = describe_network("keras", tmp_path / "mine.keras", features=layer)
    imported = import_network(pretrained, tmp_path / "out")
    with open_network(imported) as opened:
        given = run_converted(opened.convert_features("float32"), imported, tmp_path)
        untouched = [opened.pool(picture) for picture in PICTURES]
    expected = np.asarray(keras.Model(network.inputs, network.get_layer(layer).output)(prepare()))
    if expected.ndim == 4:
        expected = expected.mean(axis=(1, 2))
    assert given.shape == (len(PICTURES), width)
    np.testing.assert_allclose(given, expected, atol=1e-4)
    np.testing.assert_allclose(np.concatenate(untouched), expected, atol=1e-4)


def test_a_layer_that_is_not_there_is_named_with_one_that_is(network: keras.Model, tmp_path: Path) -> None:
    network.save(tmp_path / "mine.keras")
    pretrained = describe_network("keras", tmp_path / "mine.keras", features="poled")
    imported = import_network(pretrained, tmp_path / "out")
    with open_network(imported) as opened, pytest.raises(ModelyardError, match=r"'poled', .*\(but 'pooled'"):
        opened.convert_features("float32")


@pytest.mark.parametrize("name", ["mine.weights.h5", "mine.h5"])
def test_weights_alone_belong_to_a_function_of_keras_applications(tmp_path: Path, name: str) -> None:
    keras.utils.set_random_seed(2)
    whole = keras.applications.MobileNet(weights=None, classes=CLASSES, input_shape=(SIDE, SIDE, 3))
    if name == "mine.h5":
        whole.save(tmp_path / "whole.h5")
        with h5py.File(tmp_path / "whole.h5") as saved, h5py.File(tmp_path / name, "w") as weights:
            # As Keras 2 wrote weights alone, and as keras.applications publishes them.
            for key, value in saved["model_weights"].attrs.items():
                weights.attrs[key] = value
            for key in saved["model_weights"]:
                saved.copy(saved["model_weights"][key], weights, key)
    else:
        whole.save_weights(tmp_path / name)
    pretrained = describe_network("keras", tmp_path / name, architecture="MobileNet")
    imported = import_network(pretrained, tmp_path / "out")
    with open_network(imported) as opened:
        np.testing.assert_allclose(opened.answer(PICTURES), whole(prepare()), atol=1e-5)


def test_weights_of_another_architecture_are_an_error_of_one_line(tmp_path: Path) -> None:
    keras.applications.MobileNet(weights=None, classes=CLASSES, input_shape=(SIDE, SIDE, 3)).save_weights(
        tmp_path / "mine.weights.h5"
    )
    path, out = tmp_path / "mine.weights.h5", tmp_path / "out"
    assert_refused(path, out, "mine/mine.weights.h5: Keras cannot load it", architecture="MobileNetV2")
    assert_refused(path, out, r"got 'MobilNet' \(but 'MobileNet'", architecture="MobilNet")
    assert_refused(path, out, r"got weights alone: name .* in pretrained\.architecture")


@pytest.mark.parametrize("name", ["mine.keras", "mine.h5"])
def test_a_lambda_layer_is_refused_and_not_run(tmp_path: Path, name: str) -> None:
    mark = tmp_path / "it was run"

    def leave_mark(inputs: Any) -> Any:
        mark.touch()
        return inputs

    entrance = keras.Input((SIDE, SIDE, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Lambda(leave_mark)(entrance))
    keras.Model(entrance, keras.layers.Dense(CLASSES, activation="softmax")(pooled)).save(tmp_path / name)
    mark.unlink(missing_ok=True)
    assert_refused(tmp_path / name, tmp_path / "out", r"Lambda is not among the layers .* not run")
    assert not mark.exists()


def edit_config(path: Path, new: Path, change: dict[str, Any]) -> Path:
    """Copy a .keras with another description of its first layer."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(new, "w") as edited:
        config = json.loads(old.read("config.json"))
        config["config"]["layers"][1] |= change
        edited.writestr("config.json", json.dumps(config))
        for name in ("metadata.json", "model.weights.h5"):
            edited.writestr(name, old.read(name))
    return new


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"module": "builtins", "class_name": "function", "config": "exec"}, r"builtins\.function is not"),
        ({"module": "keras.utils", "class_name": "get_file"}, r"keras\.utils\.get_file is not among"),
        ({"module": "subprocess", "class_name": "Dense"}, r"subprocess\.Dense is not among"),
        ({"class_name": "StringLookup", "config": {"vocabulary": "names.txt"}}, "StringLookup is not among"),
        ({"config": {"activation": {"class_name": "function", "config": "f"}}}, "function is not among"),
    ],
)
def test_a_configuration_that_names_code_or_files_is_refused(
    network: keras.Model, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    network.save(tmp_path / "good.keras")
    path = edit_config(tmp_path / "good.keras", tmp_path / "mine.keras", change)
    assert_refused(path, tmp_path / "out", message)


def test_weights_that_lie_in_another_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(64))
    paths = [tmp_path / "external.h5", tmp_path / "linked.h5"]
    with h5py.File(paths[0], "w") as file:
        file.create_dataset("kernel", (16,), "f4", external=[(str(tmp_path / "secret"), 0, 64)])
    with h5py.File(paths[1], "w") as file:
        file["kernel"] = h5py.ExternalLink("other.h5", "/kernel")
    for path, message in zip(paths, ("lies in another file", "points to another place"), strict=True):
        assert_refused(path, tmp_path / "out", f"'kernel' {message}", architecture="MobileNet")


@pytest.mark.parametrize("name", ["mine.keras", "mine.h5"])
def test_a_page_in_the_place_of_a_file_is_an_error_of_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"<!DOCTYPE html><html></html>")
    assert_refused(tmp_path / name, tmp_path / "out", rf"mine/{name}: expected an? ")


def test_another_size_than_conf_says_is_an_error_that_names_both(
    network: keras.Model, tmp_path: Path
) -> None:
    network.save(tmp_path / "mine.keras")
    message = r"expected an input of 32 x 48 x 3 \(pretrained.input\), the network takes 32 x 32 x 3"
    assert_refused(tmp_path / "mine.keras", tmp_path / "out", message, input__width=48)


def test_a_network_of_any_size_takes_the_size_that_conf_says(tmp_path: Path) -> None:
    keras.utils.set_random_seed(4)
    layers = [keras.layers.Conv2D(8, 3), keras.layers.GlobalAveragePooling2D()]
    head = keras.layers.Dense(CLASSES, activation="softmax", kernel_initializer="he_normal")
    keras.Sequential([keras.Input((None, None, 3)), *layers, head]).save(tmp_path / "mine.keras")
    pretrained = describe_network("keras", tmp_path / "mine.keras", input__scale=0.1)
    imported = import_network(pretrained, tmp_path / "out")
    with open_network(imported) as opened:
        assert_converts(opened, imported, tmp_path)


def test_a_network_of_grey_pictures_sees_coloured_ones_in_grey(tmp_path: Path) -> None:
    keras.utils.set_random_seed(4)
    layers = [keras.layers.Flatten(), keras.layers.Dense(CLASSES, activation="softmax")]
    network = keras.Sequential([keras.Input((SIDE, SIDE, 1)), *layers])
    network.save(tmp_path / "mine.keras")
    changes = {"input__channels": 1, "input__mean": 128.0, "input__scale": 0.01}
    imported = import_network(describe_network("keras", tmp_path / "mine.keras", **changes), tmp_path / "out")
    with open_network(imported) as opened:
        coloured = opened.answer(PICTURES)
        grey = opened.answer([np.asarray(Image.fromarray(picture).convert("L")) for picture in PICTURES])
    np.testing.assert_array_equal(coloured, grey)
    assert np.ptp(grey, axis=0).max() > 0.01
