"""A network that was trained here says how unlike its training pictures a picture is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import compose_values
from modelyard.errors import ModelyardError
from modelyard.images.examples import Examples
from modelyard.inference.bundle import Label, Preprocessing, read_bundle
from modelyard.inference.predictor import Predictor
from modelyard.networks.convert import convert_network
from modelyard.networks.layers import build_network, join_members
from modelyard.packaging.bundling import package
from modelyard.packaging.source import Source
from modelyard.packaging.trained import ask_whole
from modelyard.packaging.unlikeness import add_unlikeness
from modelyard.params import validate_params
from tflite_models import draw_band

PARAMS = validate_params(compose_values("model=mlp"))
CHANCE = np.random.default_rng(5)


def make_bands(count: int) -> Examples:
    """Return bands, whose place is the class, each with noise of its own."""
    labels = (np.arange(count) % 10).astype(np.uint8)
    noise = CHANCE.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    levels = np.maximum(np.stack([draw_band(int(label)) for label in labels]), noise)
    return Examples(levels[..., None], labels, 10)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(3)
    return build_network(PARAMS.model, (28, 28, 1), 10)


@pytest.fixture(scope="module")
def training() -> Examples:
    return make_bands(600)


@pytest.fixture(scope="module")
def validation() -> Examples:
    return make_bands(200)


@pytest.fixture(scope="module")
def whole(network: keras.Model, training: Examples, validation: Examples) -> keras.Model:
    return add_unlikeness(network, training, validation)


def tell(whole: keras.Model, levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    _, unlikeness = ask_whole(whole, levels)
    assert unlikeness is not None
    return unlikeness


def test_the_validation_pictures_are_spread_evenly_over_its_range(
    whole: keras.Model, validation: Examples
) -> None:
    told = np.sort(tell(whole, validation.inputs))
    np.testing.assert_allclose(told, (np.arange(200) + 0.5) / 200, atol=0.03)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: CHANCE.integers(0, 256, (50, 28, 28, 1), dtype=np.uint8),
        lambda: np.stack([draw_band(n) for n in range(10)]).transpose(0, 2, 1)[..., None],
        lambda: np.zeros((3, 28, 28, 1), np.uint8),
    ],
    ids=["noise", "bands across", "nothing"],
)
def test_other_pictures_are_more_unlike_than_nearly_all_of_these(
    whole: keras.Model, draw: Callable[[], NDArray[np.uint8]]
) -> None:
    assert tell(whole, draw()).min() > 0.98


def test_the_probabilities_stay_the_same(
    network: keras.Model, whole: keras.Model, validation: Examples
) -> None:
    np.testing.assert_array_equal(
        ask_whole(whole, validation.inputs)[0], ask_whole(network, validation.inputs)[0]
    )


def test_what_cannot_be_ranked_is_not_told(
    network: keras.Model, training: Examples, validation: Examples
) -> None:
    few = Examples(validation.inputs[:19], validation.labels[:19], 10)
    assert add_unlikeness(network, training, few) is network
    assert add_unlikeness(network, few, validation) is network
    ensemble = join_members(PARAMS.model, [keras.models.clone_model(network) for _ in range(2)])
    assert add_unlikeness(ensemble, training, validation) is ensemble


# As a bundle


def make_source(network: keras.Model, whole: keras.Model, pictures: Examples) -> Source:
    answers, unlikeness = ask_whole(whole, pictures.inputs)
    return Source(
        name="bands",
        labels=[Label(str(n)) for n in range(10)],
        preprocessing=Preprocessing("smooth", 28, 28, 1),
        provenance={},
        convert=lambda precision: convert_network(whole if precision == "float32" else network, precision),
        names=[str(place) for place in range(len(pictures))],
        fitted=lambda: iter(pictures.inputs),
        answers=answers,
        unlikeness=unlikeness,
    )


def test_a_bundle_tells_what_the_network_tells(
    tmp_path: Path, network: keras.Model, whole: keras.Model, validation: Examples
) -> None:
    source = make_source(network, whole, validation)
    package(source, ("float32", "int8"), PARAMS.package, tmp_path / "bundles", tmp_path / "answers.npz")
    float32, int8 = (Predictor(read_bundle(tmp_path / "bundles" / one)) for one in ("float32", "int8"))
    assert float32.tells_unlikeness
    # int8 changes the features, and with them the distances.
    assert not int8.tells_unlikeness
    pictures = [*validation.inputs[:20, ..., 0], np.zeros((28, 28), np.uint8)]
    told = [first["unlikeness"] for first, *others in float32.predict(pictures)]
    np.testing.assert_allclose(told[:20], tell(whole, validation.inputs[:20]), atol=0.01)
    assert told[20] == 1
    assert all("unlikeness" not in label for answer in int8.predict(pictures) for label in answer)
    assert all("unlikeness" not in label for first, *others in float32.predict(pictures) for label in others)


def test_a_bundle_that_tells_something_else_fails_its_proof(
    tmp_path: Path, network: keras.Model, whole: keras.Model, validation: Examples
) -> None:
    source = make_source(network, whole, validation)
    assert source.unlikeness is not None
    wrong = replace(source, unlikeness=source.unlikeness[::-1].copy())
    with pytest.raises(ModelyardError, match=r"expected the source's unlikeness within 0\.01, got a diff"):
        package(wrong, ("float32",), PARAMS.package, tmp_path / "bundles", tmp_path / "answers.npz")


def test_the_same_pictures_give_the_same_bundle(
    network: keras.Model, whole: keras.Model, training: Examples, validation: Examples
) -> None:
    again = add_unlikeness(network, training, validation)
    assert convert_network(again, "float32") == convert_network(whole, "float32")
