"""From a network to bundles: conversion, the proof of each precision, and what is kept after it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml

from conftest import ROOT, clean_environment, compose_values
from legacy_archive import PANDA, PHOTO, fit_params, make_archive
from modelyard.errors import ModelyardError
from modelyard.images.crops import read_samples
from modelyard.images.dataset import Dataset
from modelyard.images.examples import Examples, Split
from modelyard.images.pictures import PixelPictures, write_pictures
from modelyard.inference.bundle import Preprocessing, read_bundle
from modelyard.inference.predictor import Predictor
from modelyard.networks.convert import convert_network
from modelyard.networks.importing.importing import import_pretrained
from modelyard.networks.layers import build_network
from modelyard.packaging.bundling import package
from modelyard.packaging.imported import open_source
from modelyard.packaging.source import Source
from modelyard.packaging.trained import read_trained
from modelyard.params import Convolution, Int8, Model, Package, Params, Precision

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
BIRDS = ("crow", "finch", "owl")
RECORD = {"run_id": "4711", "run": {"tags": {"data.digest": "d1"}}}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network of 2015, imported, with its sample pictures."""
    folder = tmp_path_factory.mktemp("imported")
    overrides = make_archive(folder / "a.tgz")
    import_pretrained(fit_params(compose_values(), overrides).pretrained, folder / "imported")
    return folder


@pytest.fixture(scope="module")
def photos(imported: Path) -> Iterator[Source]:
    with open_source(imported / "imported", read_samples(imported / "imported/samples", 60)) as source:
        yield source


@pytest.fixture(scope="module")
def birds() -> tuple[PixelPictures, Examples]:
    """Seven grey pictures of 20 x 24, which their fit leaves alone."""
    random = np.random.default_rng(4)
    labels = np.array([0, 1, 2, 0, 1, 2, 0], np.uint8)
    levels = random.integers(0, 256, (7, 20, 24)).astype(np.uint8)
    return PixelPictures(labels, BIRDS, levels), Examples(levels[..., None], labels, 3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training left: model.keras, from 20 x 24 to three classes, and training.json."""
    folder = tmp_path_factory.mktemp("trained")
    keras.utils.set_random_seed(3)
    build_network(MODEL, (20, 24, 1), 3).save(folder / "model.keras")
    (folder / "training.json").write_text(json.dumps(RECORD))
    return folder


def read_birds(folder: Path, birds: tuple[PixelPictures, Examples], least: int = 60) -> Source:
    dataset = Dataset("birds", BIRDS, Preprocessing("smooth", 20, 24, 1), "a garden", "CC0", {})
    pictures, examples = birds
    files = folder / "model.keras", folder / "training.json"
    return read_trained(*files, dataset, Split(examples, examples), pictures, least)


@pytest.fixture(scope="module")
def source(trained: Path, birds: tuple[PixelPictures, Examples]) -> Source:
    return read_birds(trained, birds)


def pack(source: Source, folder: Path, limits: Package, *precisions: Precision) -> dict[str, dict[str, Any]]:
    """Package a source, and return the proof of each precision that was kept."""
    package(source, precisions, limits, folder / "bundles", folder / "answers.npz")
    kept = sorted((folder / "bundles").iterdir())
    return {bundle.name: read_bundle(bundle).provenance["proof"] for bundle in kept}


def blur(answers: np.ndarray) -> np.ndarray:
    """Mix a hundredth of no idea into every answer: float32 fails, int8 may pass."""
    return answers * np.float32(0.99) + np.float32(0.01 / answers.shape[1])


def shift(answers: np.ndarray) -> np.ndarray:
    """Give every score to the next class."""
    return np.roll(answers, 1, axis=1)


def test_a_graph_of_2015_becomes_bundles_that_answer_as_the_untouched_graph(
    photos: Source,
    imported: Path,
    tmp_path: Path,
    params: Params,
    capsys: pytest.CaptureFixture[str],
) -> None:
    proofs = pack(photos, tmp_path, params.package, "float32", "int8")
    assert list(proofs) == ["float32", "int8"]
    for precision, proof in proofs.items():
        bundle = read_bundle(tmp_path / "bundles" / precision)
        assert (bundle.name, bundle.precision) == ("inception-v3", precision)
        assert bundle.provenance["source"]["licence"] == "Apache-2.0"
        assert (proof["images"], proof["answers"], proof["same_first"]) == (60, 3, 1)
        file = (imported / "imported/samples" / PHOTO).read_bytes()
        [[first, *_]] = Predictor(bundle).predict([file])
        assert (first["id"], first["label"]) == (PANDA, "giant panda, panda")
    assert proofs["float32"]["max_difference"] < 1e-5 < proofs["int8"]["max_difference"] < 0.1
    decoder = proofs["float32"]["decoder_max_difference"]
    assert proofs["float32"]["max_difference"] < decoder < 0.05
    sizes = [read_bundle(tmp_path / "bundles" / one).size_bytes for one in proofs]
    assert sizes[1] < 0.6 * sizes[0]
    first_line, second_line = capsys.readouterr().out.splitlines()
    assert first_line.startswith(
        "inception-v3 (float32, 0.3 MB): the source's first answer on 100.00% of 60 pictures (3 different"
    )
    assert second_line.startswith("inception-v3 (int8, 0.1 MB): ")


def test_the_proof_is_on_the_networks_own_samples_and_on_parts_of_them(photos: Source) -> None:
    assert list(photos.names[:3]) == ["china.jpg", PHOTO, "flower.jpg"]
    assert photos.names[3:5] == ["china.jpg, part 3", f"{PHOTO}, part 4"]
    assert len({picture.tobytes() for picture in photos.fitted()}) == len(photos.names) == 60


def test_the_answers_of_the_source_are_kept_with_their_names(
    photos: Source, tmp_path: Path, params: Params
) -> None:
    pack(photos, tmp_path, params.package, "float32")
    with np.load(tmp_path / "answers.npz", allow_pickle=False) as answers:
        assert list(answers["names"]) == photos.names
        assert answers["probabilities"].dtype == np.float32
        np.testing.assert_array_equal(answers["probabilities"], photos.answers)


def test_a_trained_network_of_any_classes_becomes_a_bundle_with_their_names(
    source: Source, tmp_path: Path, params: Params
) -> None:
    proofs = pack(source, tmp_path, params.package, "float32", "int8")
    assert proofs["float32"]["max_difference"] < 1e-5
    bundle = read_bundle(tmp_path / "bundles/float32")
    assert bundle.provenance == {"training": RECORD, "proof": proofs["float32"]}
    assert tuple(label.name for label in bundle.labels) == BIRDS
    assert bundle.preprocessing == Preprocessing("smooth", 20, 24, 1)


def test_a_small_validation_split_is_proved_on_parts_of_it_too(
    source: Source, trained: Path, birds: tuple[PixelPictures, Examples]
) -> None:
    fitted = list(source.fitted())
    assert len(fitted) == len(source.names) == len(source.answers) == 60
    np.testing.assert_array_equal(fitted[:7], birds[1].inputs)
    assert len({picture.tobytes() for picture in fitted}) == 60
    assert {picture.shape for picture in fitted} == {(20, 24, 1)}
    assert len(read_birds(trained, birds, least=7).names) == 7


def test_the_same_network_gives_the_same_bundle(source: Source, tmp_path: Path, params: Params) -> None:
    keys = set()
    for name in ("one", "two"):
        pack(source, tmp_path / name, params.package, "int8")
        keys.add(read_bundle(tmp_path / name / "bundles/int8").content_key)
    assert len(keys) == 1


def test_a_precision_that_fails_falls_alone_with_a_line(
    photos: Source, tmp_path: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    blurred = replace(photos, answers=blur(photos.answers))
    assert list(pack(blurred, tmp_path, params.package, "float32", "int8")) == ["int8"]
    failed, kept = capsys.readouterr().out.splitlines()
    assert failed.startswith("inception-v3 (float32) is left out: the conversion failed its proof: expected")
    assert "at most 0.0001 to the source's probabilities (package.max_float32_difference), got 0.0" in failed
    assert kept.startswith("inception-v3 (int8, 0.1 MB)")
    int8 = Int8(min_same_first=1.0, max_difference=1e-9)
    strict = params.package.model_copy(update={"int8": int8})
    assert list(pack(photos, tmp_path, strict, "int8", "float32")) == ["float32"]


def test_where_none_passes_every_reason_is_told_and_what_was_there_stays(
    photos: Source, tmp_path: Path, params: Params
) -> None:
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles/earlier").write_text("kept")
    shifted = replace(photos, answers=shift(photos.answers))
    with pytest.raises(ModelyardError) as refused:
        pack(shifted, tmp_path, params.package, "float32", "int8")
    head, *reasons = str(refused.value).splitlines()
    assert head == "inception-v3: no bundle has passed its proof:"
    assert [reason.strip().partition(":")[0] for reason in reasons] == ["float32", "int8"]
    assert "at most 0.25 to the source's probabilities (package.int8.max_difference), got" in reasons[1]
    assert [path.name for path in tmp_path.rglob("*")] == ["bundles", "earlier"]


def test_a_precision_that_cannot_be_converted_falls_alone_too(
    source: Source, tmp_path: Path, params: Params
) -> None:
    def convert(precision: Precision) -> bytes:
        if precision == "int8":
            raise ModelyardError("LiteRT cannot convert\nthe network")
        return source.convert(precision)

    assert list(pack(replace(source, convert=convert), tmp_path, params.package, "float32", "int8")) == [
        "float32"
    ]
    with pytest.raises(ModelyardError, match=r"\n  int8: LiteRT cannot convert the network$"):
        pack(replace(source, convert=convert), tmp_path / "other", params.package, "int8")


def test_int8_with_another_first_answer_is_refused(photos: Source, tmp_path: Path, params: Params) -> None:
    answers = np.concatenate([shift(photos.answers[:1]), photos.answers[1:]])
    loose = Int8(min_same_first=0.99, max_difference=1.0)
    limits = params.package.model_copy(update={"int8": loose})
    with pytest.raises(ModelyardError, match=r"first answer on at least 99\.00% of 60 .*got 98\.33%"):
        pack(replace(photos, answers=answers), tmp_path, limits, "int8")


def test_first_answers_that_are_all_the_same_are_said_to_prove_nothing(
    source: Source, tmp_path: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    network = build_network(MODEL, (20, 24, 1), 3)
    network.get_layer("probabilities").bias.assign([0.0, 9.0, 0.0])
    inputs = np.stack(list(source.fitted())).astype(np.float32)
    decided = replace(
        source,
        convert=lambda precision: convert_network(network, precision),
        answers=network(inputs).numpy(),
    )
    proof = pack(decided, tmp_path, params.package, "float32")["float32"]
    assert proof["answers"] == 1
    assert "100.00% of 60 pictures (one and the same, which proves nothing)" in capsys.readouterr().out


def test_where_the_source_has_one_first_answer_the_difference_alone_counts(
    source: Source, tmp_path: Path, params: Params
) -> None:
    answers = np.full_like(source.answers, 0.333)
    answers[:, source.answers[0].argmin()] = 0.334
    undecided = replace(source, answers=answers)
    limits = params.package.model_copy(update={"int8": Int8(min_same_first=1.0, max_difference=1.0)})
    proof = pack(undecided, tmp_path, limits, "int8")["int8"]
    assert proof["answers"] == 1 > proof["same_first"]
    near = params.package.model_copy(update={"int8": Int8(min_same_first=1.0, max_difference=1e-4)})
    with pytest.raises(ModelyardError, match=r"package\.int8\.max_difference"):
        pack(undecided, tmp_path / "other", near, "int8")


def test_a_network_that_answers_nan_is_refused(source: Source, tmp_path: Path, params: Params) -> None:
    network = build_network(MODEL, (20, 24, 1), 3)
    network.set_weights([weight * np.float32(np.nan) for weight in network.get_weights()])
    broken = replace(source, convert=lambda precision: convert_network(network, precision))
    with pytest.raises(ModelyardError, match=r"float32: the conversion failed its proof: .*NaN"):
        pack(broken, tmp_path, params.package, "float32")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["model.keras", "training.json"])
def test_a_missing_file_of_the_training_is_named(
    trained: Path, birds: tuple[PixelPictures, Examples], tmp_path: Path, file: str
) -> None:
    for path in trained.iterdir():
        if path.name != file:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(ModelyardError, match=rf"{file}: .*`dvc repro train`"):
        read_birds(tmp_path, birds)


def test_a_network_for_other_pictures_or_classes_is_refused(
    birds: tuple[PixelPictures, Examples], tmp_path: Path
) -> None:
    (tmp_path / "training.json").write_text(json.dumps(RECORD))
    for shape, classes in (((32, 32, 3), 3), ((20, 24, 1), 4)):
        build_network(MODEL, shape, classes).save(tmp_path / "model.keras")
        with pytest.raises(
            ModelyardError, match=r"expected a network from \(n, 20, 24, 1\) to \(n, 3\), got"
        ):
            read_birds(tmp_path, birds)


def run_stage(name: str, folder: Path, values: dict[str, Any], **paths: Path) -> str:
    """Run a stage as DVC does; it must say nothing on stderr. Return what it says on stdout."""
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    words = [word for key, path in paths.items() for word in (f"--{key}", str(path))]
    command = [sys.executable, str(ROOT / "pipelines" / name), *words]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, check=False, env=clean_environment()
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_stage_of_an_imported_network_says_a_line_a_precision_and_nothing_of_tensorflows(
    imported: Path, values: dict[str, Any], tmp_path: Path
) -> None:
    told = run_stage(
        "package_imported.py",
        tmp_path,
        values,
        imported=imported / "imported",
        bundles=tmp_path / "bundles",
        answers=tmp_path / "answers.npz",
    )
    starts = [line.partition(", ")[0] for line in told.splitlines()]
    assert starts == ["inception-v3 (float32", "inception-v3 (int8"]
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir()) == ["float32", "int8"]


def test_the_stage_of_a_trained_network_does_too(
    trained: Path, birds: tuple[PixelPictures, Examples], values: dict[str, Any], tmp_path: Path
) -> None:
    pictures, _ = birds
    write_pictures(tmp_path / "validation.npz", pictures)
    how = {"fit": "smooth", "height": 20, "width": 24, "channels": 1}
    about = {"name": "birds", "classes": BIRDS, "input": how, "source": "a garden", "licence": "CC0"}
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    values["package"]["trained"] = ["float32", "int8"]
    told = run_stage(
        "package_trained.py",
        tmp_path,
        values,
        network=trained / "model.keras",
        record=trained / "training.json",
        dataset=tmp_path / "dataset.json",
        train=tmp_path / "validation.npz",
        validation=tmp_path / "validation.npz",
        source=tmp_path / "none",
        features=tmp_path / "none.npz",
        bundles=tmp_path / "bundles",
        answers=tmp_path / "answers.npz",
    )
    assert [line.partition(", ")[0] for line in told.splitlines()] == ["birds (float32", "birds (int8"]
    assert "of 60 pictures (" in told
