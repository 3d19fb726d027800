"""From a network to a bundle: conversion, the proof, and what is kept after it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml

from legacy_archive import PANDA, PHOTO, fit_params, make_archive
from modelyard.images.dataset import Digits, write_digits
from modelyard.errors import ModelyardError
from modelyard.inference.bundle import read_bundle
from modelyard.inference.predictor import Predictor
from modelyard.packaging.bundling import Candidate, describe_proof, keep_proved
from modelyard.networks.convert import convert_network
from modelyard.packaging.digit_candidate import convert_trained
from modelyard.packaging.photo_candidate import convert_pretrained
from modelyard.params import Convolution, Model, Package, Params
from modelyard.networks.importing import import_pretrained
from modelyard.networks.stand_in import build_network as build_stand_in
from modelyard.quiet import quiet_tensorflow
from modelyard.networks.layers import build_network
from stand_in_package import weight_shapes

ROOT = Path(__file__).parents[1]
MODEL = Model(
    name="small",
    input="pixels",
    crop=0,
    first_filters="learned",
    convolutions=(Convolution(filters=4, kernel=3, stride=1, padding="same", pool=2),),
    batch_norm=False,
    head="flatten",
    dense=(64,),
    dropout=0.0,
    members=1,
)
RECORD = {"run_id": "4711", "run": {"tags": {"data.digest": "d1"}}}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network of 2015, imported."""
    folder = tmp_path_factory.mktemp("imported")
    overrides = make_archive(folder / "a.tgz")
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    import_pretrained(fit_params(values, overrides).pretrained, folder / "inception")
    return folder / "inception"


@pytest.fixture(scope="module")
def photo_candidate(imported: Path) -> Candidate:
    return convert_pretrained(imported, "float32")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training and download left: model.keras, validation.npz (67 digits) and training.json."""
    folder = tmp_path_factory.mktemp("trained")
    keras.utils.set_random_seed(3)
    build_network(MODEL).save(folder / "model.keras")
    random = np.random.default_rng(4)
    # Dark ground and a light middle, so that the pictures pass for digits.
    images = np.zeros((67, 28, 28), np.uint8)
    images[:, 8:20, 8:20] = random.integers(0, 256, (67, 12, 12))
    write_digits(folder / "validation.npz", Digits(images, random.integers(0, 10, 67).astype(np.uint8)))
    (folder / "training.json").write_text(json.dumps(RECORD))
    return folder


def convert_digits(trained: Path, precision: Any = "float32") -> Candidate:
    return convert_trained(
        trained / "model.keras", trained / "validation.npz", trained / "training.json", precision
    )


def keep(candidate: Candidate, folder: Path, limits: Package) -> dict[str, Any]:
    return keep_proved(candidate, folder / "bundle", folder / "answers.npz", limits)


def test_a_graph_of_2015_becomes_a_bundle_that_answers_as_the_untouched_graph(
    photo_candidate: Candidate, imported: Path, tmp_path: Path, params: Params
) -> None:
    proof = keep(photo_candidate, tmp_path, params.package)
    bundle = read_bundle(tmp_path / "bundle")
    assert (bundle.name, bundle.precision) == ("inception-v3", "float32")
    assert bundle.provenance["proof"] == proof
    assert bundle.provenance["source"]["licence"] == "Apache-2.0"
    assert proof["images"] == 3
    assert proof["max_difference"] < 1e-5
    assert proof["max_difference"] < proof["decoder_max_difference"] < 0.05
    [[first, *_]] = Predictor(bundle).predict([(imported / "samples" / PHOTO).read_bytes()])
    assert (first["id"], first["label"]) == (PANDA, "giant panda, panda")


def test_the_answers_of_the_source_are_kept_with_the_names_of_the_photos(
    photo_candidate: Candidate, tmp_path: Path, params: Params
) -> None:
    keep(photo_candidate, tmp_path, params.package)
    with np.load(tmp_path / "answers.npz", allow_pickle=False) as answers:
        assert list(answers["names"]) == ["china.jpg", PHOTO, "flower.jpg"]
        assert answers["probabilities"].dtype == np.float32
        np.testing.assert_array_equal(answers["probabilities"], photo_candidate.answers)


def test_int8_is_smaller_and_reports_how_close_it_is(
    photo_candidate: Candidate, imported: Path, tmp_path: Path, params: Params
) -> None:
    candidate = convert_pretrained(imported, "int8")
    assert len(candidate.model) < 0.6 * len(photo_candidate.model)
    proof = keep(candidate, tmp_path, params.package)
    assert proof["same_first"] == 1
    assert 0 < proof["max_difference"] < 0.01
    assert read_bundle(tmp_path / "bundle").precision == "int8"
    line = describe_proof(candidate, proof)
    assert line.startswith("inception-v3 (int8, 0.1 MB): the source's first answer on 100.00% of 3 images")


def test_a_digit_network_becomes_a_bundle_proved_on_the_whole_split(
    trained: Path, tmp_path: Path, params: Params
) -> None:
    proof = keep(convert_digits(trained), tmp_path, params.package)
    bundle = read_bundle(tmp_path / "bundle")
    assert proof["images"] == 67
    assert proof["max_difference"] < 1e-5
    assert bundle.provenance == {"training": RECORD, "proof": proof}
    assert [label.name for label in bundle.labels] == list("0123456789")


def test_the_same_network_gives_the_same_bundle(trained: Path, tmp_path: Path, params: Params) -> None:
    keys = set()
    for name in ("one", "two"):
        keep(convert_digits(trained, "int8"), tmp_path / name, params.package)
        keys.add(read_bundle(tmp_path / name / "bundle").content_key)
    assert len(keys) == 1


def blur(answers: np.ndarray) -> np.ndarray:
    """Mix a hundredth of no idea into every answer."""
    return answers * np.float32(0.99) + np.float32(0.01 / answers.shape[1])


def shift(answers: np.ndarray) -> np.ndarray:
    """Give every score to the next class."""
    return np.roll(answers, 1, axis=1)


@pytest.mark.parametrize(
    ("precision", "spoil", "message"),
    [
        ("float32", blur, r"at most 0\.0001 .*package\.max_float32_difference\), got 0\.00"),
        ("int8", shift, r"at most 0\.25 .*package\.int8\.max_difference\), got 0\.99"),
    ],
)
def test_a_model_too_far_from_its_source_is_refused_and_nothing_is_kept(
    photo_candidate: Candidate,
    tmp_path: Path,
    params: Params,
    precision: Any,
    spoil: Callable[[np.ndarray], np.ndarray],
    message: str,
) -> None:
    candidate = replace(photo_candidate, precision=precision, answers=spoil(photo_candidate.answers))
    with pytest.raises(ModelyardError, match=message):
        keep(candidate, tmp_path, params.package)
    assert list(tmp_path.iterdir()) == []


def test_int8_with_another_first_answer_is_refused(
    photo_candidate: Candidate, tmp_path: Path, params: Params
) -> None:
    answers = np.concatenate([shift(photo_candidate.answers[:1]), photo_candidate.answers[1:]])
    candidate = replace(photo_candidate, precision="int8", answers=answers)
    int8 = params.package.int8.model_copy(update={"max_difference": 1.0})
    limits = params.package.model_copy(update={"int8": int8})
    with pytest.raises(ModelyardError, match=r"first answer on at least 99\.00% of 3 images .*got 66\.67%"):
        keep(candidate, tmp_path, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_answers_nan_is_refused(trained: Path, tmp_path: Path, params: Params) -> None:
    network = build_network(MODEL)
    network.set_weights([weight * np.float32(np.nan) for weight in network.get_weights()])
    candidate = replace(convert_digits(trained), model=convert_network(network, "float32"))
    with pytest.raises(ModelyardError, match=r"failed its proof: .*NaN"):
        keep(candidate, tmp_path, params.package)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["model.keras", "validation.npz", "training.json"])
def test_a_missing_file_of_the_training_is_named(trained: Path, tmp_path: Path, file: str) -> None:
    for path in trained.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / file).unlink()
    with pytest.raises(ModelyardError, match=file):
        convert_digits(tmp_path)


def test_a_network_for_other_pictures_is_refused(trained: Path, tmp_path: Path) -> None:
    for path in trained.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "model.keras").unlink()
    keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()]).save(tmp_path / "model.keras")
    with pytest.raises(ModelyardError, match=r"expected a network from \(n, 28, 28, 1\) to \(n, 10\)"):
        convert_digits(tmp_path)


def test_weights_that_do_not_fit_inception_are_refused() -> None:
    weights = {name: np.zeros(shape, np.float32) for name, shape in weight_shapes().items()}
    with pytest.raises(ModelyardError, match="the stand-in's weights do not fit Inception v3"):
        build_stand_in(weights)


def test_the_package_stage_says_one_line_and_nothing_of_tensorflows(imported: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "pipelines" / "package_pretrained.py")]
    command += ["--pretrained", str(imported), "--precision", "int8"]
    command += ["--params", str(ROOT / "params.yaml")]
    command += ["--bundle", str(tmp_path / "inception-int8"), "--answers", str(tmp_path / "answers.npz")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ended.stderr == ""
    assert ended.stdout.startswith("inception-v3 (int8, ")
    assert ended.stdout.count("\n") == 1


def test_chatter_is_shown_when_something_unexpected_happens(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_tensorflow():
        os.write(2, b"all is well\n")
    with pytest.raises(RuntimeError):
        say_last_words()
    assert capfd.readouterr().err == "the last words\n"


def say_last_words() -> None:
    with quiet_tensorflow():
        os.write(2, b"the last words\n")
        raise RuntimeError
