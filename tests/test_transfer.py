"""Transfer: features of digits, and the network on them joined with the one that they come from.

The trunks are small: a network of one layer with 2,048 features, and a graph of 2015 with 64.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from conftest import ROOT
from legacy_archive import SIZE, make_graph, make_photo
from legacy_graph_builder import MEAN, SCALE
from modelyard.images.dataset import Digits
from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Label, Preprocessing, read_bundle
from modelyard.inference.resize import resize_bilinear
from modelyard.packaging.bundling import keep_proved
from modelyard.networks.joining import join_models
from modelyard.packaging.transfer_candidate import convert_transferred
from modelyard.params import Params, validate_params
from modelyard.networks.imported import GRAPH, Imported, read_imported, write_facts
from modelyard.networks.legacy_graph import LegacyGraph, Tensors
from modelyard.tracking.runs import describe_training
from modelyard.images.examples import Examples, Split, examples_of
from modelyard.networks.layers import build_network
from modelyard.networks.extraction import compute_features, convert_trunk, extract_features
from modelyard.networks.features import WIDTH, Origin, read_features, read_origin, write_features
from modelyard.networks.trunk import cut_network, load_trunk

IMAGES, VALIDATION = 67, 20
FEATURES = "pool_3/_reshape:0"
TENSORS = Tensors("DecodeJpeg/contents:0", "Cast:0", "Mul:0", "softmax:0")
PHOTO = Preprocessing("photo", 33, 41, 3, mean=16.0, scale=1 / 255, align_corners=True)


@pytest.fixture(scope="module")
def pictures() -> Split:
    """A bar for each digit, in a place of its own, with some noise."""
    random = np.random.default_rng(5)
    labels = random.integers(0, 10, IMAGES).astype(np.uint8)
    images = np.zeros((IMAGES, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 : 2 * label + 8, 2 * label + 4 : 2 * label + 7] = random.integers(150, 256)
    digits = Digits(images, labels)
    return Split(examples_of(digits), examples_of(digits).first(VALIDATION))


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A photo to 2,048 averages, and an answer that nobody asks for."""
    keras.utils.set_random_seed(6)
    layers = keras.layers
    convolution = layers.Conv2D(WIDTH, 5, strides=7, activation="relu", bias_initializer="random_normal")
    head = [layers.GlobalAveragePooling2D(), layers.Dense(5, activation="softmax")]
    return keras.Sequential([keras.Input((PHOTO.height, PHOTO.width, 3)), convolution, *head])


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """A graph of 2015 with 64 features, as the import leaves it."""
    folder = tmp_path_factory.mktemp("imported")
    (folder / GRAPH).write_bytes(make_graph(make_photo()).SerializeToString(deterministic=True))
    how = Preprocessing("photo", SIZE, SIZE, 3, MEAN, SCALE, align_corners=False)
    about = {"name": "inception-v3", "format": "graphdef", "source": "here", "licence": "Apache-2.0"}
    write_facts(folder, [Label("one")], {**about, "tensors": asdict(TENSORS), "preprocessing": asdict(how)})
    return read_imported(folder)


@pytest.fixture(scope="module")
def origin(network: keras.Model) -> Origin:
    about = {"name": "stand-in", "source": "npm", "licence": "MIT"}
    return Origin(convert_trunk(cut_network(network, PHOTO), "float32"), "float32", about)


@pytest.fixture(scope="module")
def rows(origin: Origin, pictures: Split) -> np.ndarray:
    """The features of all pictures, through LiteRT."""
    return compute_features(origin.model, pictures.training, "all")


@pytest.fixture
def file(pictures: Split, rows: np.ndarray, origin: Origin, tmp_path: Path) -> Path:
    write_features(tmp_path / "features.npz", pictures, rows, rows[:VALIDATION], origin)
    return tmp_path / "features.npz"


def make_head(rows: np.ndarray) -> keras.Model:
    """Ten answers to features, far enough apart that a wrong feature shows."""
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        composed: Any = OmegaConf.to_container(compose("config", overrides=["model=inception_features"]))
    head = build_network(validate_params(composed).model)
    norm, answer = head.layers
    norm.moving_mean.assign(rows.mean(axis=0))
    norm.moving_variance.assign(rows.var(axis=0))
    answer.kernel.assign(np.random.default_rng(7).normal(0, 0.5, (WIDTH, 10)))
    return head


def test_a_digits_features_are_the_networks_for_it_as_a_photo(
    network: keras.Model, pictures: Split, rows: np.ndarray
) -> None:
    pooled = keras.Model(network.inputs[0], network.layers[-2].output)
    for place in range(0, IMAGES, 11):
        grey = pictures.training.inputs[place]
        photo = resize_bilinear(grey.repeat(3, axis=2), PHOTO.height, PHOTO.width, PHOTO.align_corners)
        expected = pooled(((photo - PHOTO.mean) * np.float32(PHOTO.scale))[None])
        np.testing.assert_allclose(rows[place], expected[0], atol=1e-5)
    assert rows.shape == (IMAGES, WIDTH)


def test_the_official_graphs_features_are_those_of_the_untouched_graph(
    official: Imported, pictures: Split
) -> None:
    model = convert_trunk(load_trunk(official, FEATURES), "float32")
    given = compute_features(model, pictures.validation, "some")
    from modelyard.networks.graphdef import parse_graph

    graph = parse_graph((official.folder / GRAPH).read_bytes(), "the graph")
    tensors = Tensors(TENSORS.contents, TENSORS.cast, TENSORS.input, FEATURES)
    with LegacyGraph(graph, tensors, 64, "the graph") as untouched:
        photos = pictures.validation.inputs.repeat(3, axis=3)
        expected = np.stack([untouched.probabilities(photo) for photo in photos])
    np.testing.assert_allclose(given, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_joined_model_answers_what_the_network_makes_of_the_features(
    network: keras.Model, pictures: Split, params: Params, tmp_path: Path, precision: Any
) -> None:
    (tmp_path / "training.json").write_text(json.dumps({"run_id": "4711"}))
    origin = Origin(convert_trunk(cut_network(network, PHOTO), precision), precision, {"licence": "MIT"})
    rows = compute_features(origin.model, pictures.validation, "some")
    head = make_head(rows)
    head.save(tmp_path / "model.keras")
    candidate = convert_transferred(
        tmp_path / "model.keras",
        tmp_path / "training.json",
        origin,
        pictures.validation,
        Examples(rows, pictures.validation.labels),
    )
    proof = keep_proved(candidate, tmp_path / "bundle", tmp_path / "answers.npz", params.package)
    assert proof["images"] == VALIDATION
    assert proof["max_difference"] < 1e-4
    bundle = read_bundle(tmp_path / "bundle")
    assert (bundle.name, bundle.precision, bundle.preprocessing.kind) == ("mnist", precision, "digit")
    assert bundle.provenance["trunk"]["licence"] == "MIT"
    np.testing.assert_allclose(candidate.answers, head(rows), atol=1e-5)
    assert np.ptp(candidate.answers, axis=0).max() > 0.1


def test_models_that_do_not_fit_together_are_refused(origin: Origin) -> None:
    with pytest.raises(ModelyardError, match=r"fit together, got \[1, 2048\] into \[1, 28, 28, 1\]"):
        join_models(origin.model, origin.model)


def test_features_come_back_with_what_they_were_made_of(
    file: Path, pictures: Split, rows: np.ndarray, origin: Origin
) -> None:
    split = read_features(file, pictures.training, pictures.validation)
    np.testing.assert_array_equal(split.training.inputs, rows)
    np.testing.assert_array_equal(split.validation.labels, pictures.validation.labels)
    assert split.lineage["features.trunk"] == "stand-in (float32) from npm, licence MIT"
    back = read_origin(file)
    assert (back.precision, back.provenance) == (origin.precision, origin.provenance)
    assert back.model == origin.model


def test_the_same_features_give_the_same_bytes(
    file: Path, pictures: Split, rows: np.ndarray, origin: Origin, tmp_path: Path
) -> None:
    write_features(tmp_path / "again.npz", pictures, rows, rows[:VALIDATION], origin)
    assert (tmp_path / "again.npz").read_bytes() == file.read_bytes()


def test_features_of_other_digits_are_refused(file: Path, pictures: Split) -> None:
    with pytest.raises(
        ModelyardError, match=r"features of 66 training images, got 67: run `dvc repro features`"
    ):
        read_features(file, pictures.training.first(66), pictures.validation)
    changed = Examples(pictures.validation.inputs + np.uint8(1), pictures.validation.labels)
    with pytest.raises(ModelyardError, match="of the validation images, got those of others"):
        read_features(file, None, changed)


def spoil(rows: np.ndarray) -> np.ndarray:
    rows = rows.copy()
    rows[3, 5] = np.nan
    return rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil, r"training: expected numbers, got NaN"),
        (lambda rows: rows[:, :64], r"training: expected float32 \(n, 2048\), got float32 \(67, 64\)"),
        (lambda rows: rows.astype(np.float64), r"expected float32 \(n, 2048\), got float64"),
        (lambda rows: rows[:-1], r"features of 67 training images, got 66"),
    ],
)
def test_wrong_features_are_refused(
    pictures: Split,
    rows: np.ndarray,
    origin: Origin,
    tmp_path: Path,
    change: Callable[[np.ndarray], np.ndarray],
    message: str,
) -> None:
    path = tmp_path / "features.npz"
    write_features(path, pictures, change(rows), rows[:VALIDATION], origin)
    with pytest.raises(ModelyardError, match=message):
        read_features(path, pictures.training, pictures.validation)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken off", None])
def test_a_file_that_holds_no_features_is_refused(
    pictures: Split, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "features.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelyardError, match=r"features\.npz.*: run `dvc repro features`"):
        read_features(path, None, pictures.validation)


def test_a_network_with_another_number_of_features_is_refused(
    official: Imported, pictures: Split, tmp_path: Path
) -> None:
    with pytest.raises(ModelyardError, match="expected 2048 features, inception-v3 gives 64"):
        extract_features(official.folder, FEATURES, "float32", pictures, tmp_path / "features.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_tensor_that_the_graph_does_not_have_is_named(official: Imported) -> None:
    with pytest.raises(ModelyardError, match="expected a tensor 'pool_4:0', the graph has none"):
        load_trunk(official, "pool_4:0")


def test_features_that_are_no_numbers_are_refused(network: keras.Model, pictures: Split) -> None:
    broken = keras.models.clone_model(network)
    broken.set_weights([weight * np.float32(np.nan) for weight in network.get_weights()])
    with pytest.raises(ModelyardError, match="expected numbers, got NaN"):
        compute_features(convert_trunk(cut_network(broken, PHOTO), "float32"), pictures.validation, "some")


def test_a_model_on_pixels_costs_no_features_and_no_tensorflow(
    pictures: Split, values: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    script = [sys.executable, "-X", "importtime", str(ROOT / "pipelines/features.py")]
    names = ("train", "validation", "pretrained", "out")
    paths = [word for name in names for word in (f"--{name}", str(tmp_path / f"{name}.npz"))]
    stage = subprocess.run([*script, *paths], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert stage.returncode == 0, stage.stderr
    for module in (" tensorflow", " keras", " ai_edge_litert", " mlflow"):
        assert module not in stage.stderr
    with pytest.raises(ModelyardError, match="features of 67 training images, got 0"):
        read_features(tmp_path / "out.npz", pictures.training, pictures.validation)


def test_other_features_are_another_training(file: Path, pictures: Split, params: Params) -> None:
    digits = Digits(pictures.training.inputs[..., 0], pictures.training.labels)
    lineage = read_features(file, pictures.training, pictures.validation).lineage
    described = [
        describe_training(params, digits, {"source": "here", "licence": "CC"}, made_with)
        for made_with in ({}, lineage, {**lineage, "features.digest": "0"})
    ]
    assert len({description.identity for description in described}) == 3
    assert described[0].dataset.digest == digits.digest
    assert described[1].tags["features.trunk"].startswith("stand-in")


def test_pictures_that_nobody_looks_at_again_cannot_be_augmented(values: dict[str, Any]) -> None:
    values["model"] |= {"input": "inception_features", "convolutions": []}
    validate_params(values)
    values["train"]["augmentation"]["shift_pixels"] = 2.0
    with pytest.raises(ModelyardError, match=r"\n  train\.augmentation: expected 0\.0 throughout"):
        validate_params(values)
