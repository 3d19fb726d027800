"""Features of pictures, by the imported network: kept by picture, learned from, and joined with what learned.

The imported network is a small graph of 2015.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml
from PIL import Image

from conftest import ROOT, clean_environment, compose_values
from legacy_archive import SIZE, fit_params, make_archive, make_graph, make_photo
from made_digits import make_digits
from modelyard.errors import ModelyardError
from modelyard.images.crops import read_samples
from modelyard.images.dataset import Dataset
from modelyard.images.examples import Split
from modelyard.images.pictures import PictureFiles, Pictures, write_pictures
from modelyard.inference.bundle import Preprocessing, read_bundle
from modelyard.inference.predictor import Predictor
from modelyard.inference.runtime.interpreters import LoadedModel
from modelyard.networks import extraction
from modelyard.networks.extraction import FEATURES_TENSOR, extract_features, make_trunk
from modelyard.networks.features import Features, Trunk, read_features, write_features
from modelyard.networks.importing.imported import SAMPLES
from modelyard.networks.importing.importing import import_pretrained
from modelyard.networks.joining import cut_model, find_tensor, join_models
from modelyard.packaging.bundling import package
from modelyard.packaging.imported import open_source
from modelyard.packaging.trained import read_joined
from modelyard.params import Params, Precision, validate_params
from modelyard.training.members import fit_members
from modelyard.training.outcome import save_network
from modelyard.training.task import Task

COLOURS = ("blue", "green", "red")
PIXELS = "Cast:0"
POOLED = "pool_3/_reshape:0"


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    overrides = make_archive(folder / "a.tgz")
    import_pretrained(fit_params(compose_values(), overrides).pretrained, folder / "imported")
    return folder / "imported"


@pytest.fixture(scope="module")
def bundles(imported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stage `package-imported` makes of it, proved on its samples alone."""
    folder, limits = tmp_path_factory.mktemp("bundles"), make_features_params().package
    with open_source(imported, read_samples(imported / SAMPLES, 3)) as source:
        package(source, ("float32", "int8"), limits, folder / "bundles", folder / "answers.npz")
    return folder / "bundles"


@pytest.fixture(scope="module")
def trunk(imported: Path, bundles: Path) -> Trunk:
    return make_trunk(imported, bundles, "float32")


@pytest.fixture(scope="module")
def small_trunk(imported: Path, bundles: Path) -> Trunk:
    return make_trunk(imported, bundles, "int8")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> PictureFiles:
    """Thirty JPEGs and PNGs of different sizes, ten of each colour."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(5)
    paths, digests = [], []
    labels = np.arange(30, dtype=np.uint8) % 3
    for number, label in enumerate(labels):
        pixels = random.integers(0, 90, (40 + number, 70 - number, 3)).astype(np.uint8)
        pixels[..., 2 - label] += 140
        path = folder / f"{number}.{'png' if number % 2 else 'jpg'}"
        Image.fromarray(pixels).save(path)
        paths.append(path.name)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return PictureFiles(labels, COLOURS, folder, tuple(paths), tuple(digests))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Filled with a number for every picture that LiteRT is asked about."""
    asked: list[int] = []
    run = LoadedModel.run

    def run_and_count(model: LoadedModel, image: Any) -> Any:
        asked.append(len(asked))
        return run(model, image)

    monkeypatch.setattr(LoadedModel, "run", run_and_count)
    return asked


def compute(trunk: Trunk, pictures: Pictures, path: Path) -> np.ndarray:
    """Extract into a file, and return the rows of the pictures out of it."""
    extract_features(trunk, [pictures], path)
    rows: np.ndarray = read_features(path).examples(pictures).inputs
    return rows


def ask_graph(pictures: list[np.ndarray]) -> np.ndarray:
    """Return what the untouched graph pools of decoded RGB pictures."""
    import tensorflow as tf

    with tf.Graph().as_default() as loaded:
        tf.graph_util.import_graph_def(make_graph(make_photo()), name="")
        with tf.compat.v1.Session(graph=loaded) as session:
            rows = [session.run(POOLED, {PIXELS: picture.astype(np.float32)}) for picture in pictures]
    return np.concatenate([row.reshape(1, -1) for row in rows])


def test_the_features_of_colour_files_are_those_of_the_untouched_graph(
    trunk: Trunk, photos: PictureFiles, tmp_path: Path
) -> None:
    rows = compute(trunk, photos, tmp_path / "features.npz")
    expected = ask_graph([photos.pixels(place, grey=False) for place in range(len(photos))])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected, atol=1e-4 * np.abs(expected).max())
    assert np.ptp(rows, axis=0).max() > 0.01 * np.abs(rows).max()
    assert trunk.preprocessing == Preprocessing("stretch", SIZE, SIZE, 3)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_trunk_cut_from_a_bundle_answers_as_one_that_is_converted(
    imported: Path, bundles: Path, tmp_path: Path, precision: Precision
) -> None:
    levels = np.random.default_rng(2).integers(0, 256, (1, SIZE, SIZE, 3)).astype(np.float32)
    without = Path(shutil.copytree(bundles, tmp_path / "bundles"))
    file = without / precision / "provenance.json"
    about = json.loads(file.read_text())
    del about["provenance"][FEATURES_TENSOR]
    file.write_text(json.dumps(about))
    trunks = [make_trunk(imported, folder, precision) for folder in (bundles, without)]
    cut, converted = (LoadedModel(trunk.model, threads=1).run(levels).scores for trunk in trunks)
    assert trunks[0].model != trunks[1].model
    assert trunks[0].digest == make_trunk(imported, bundles, precision).digest
    np.testing.assert_allclose(cut, converted, atol=1e-4 * np.abs(converted).max())


def test_a_tensor_is_found_by_what_it_holds(trunk: Trunk) -> None:
    levels = np.random.default_rng(2).integers(0, 256, (1, SIZE, SIZE, 3)).astype(np.float32)
    row = LoadedModel(trunk.model, threads=1).run(levels).scores
    tensor = find_tensor(trunk.model, levels, row, 1e-4)
    assert tensor is not None
    found = LoadedModel(cut_model(trunk.model, tensor, pooled=True), threads=1).run(levels).scores
    np.testing.assert_allclose(found, row, atol=1e-4 * np.abs(row).max())
    assert find_tensor(trunk.model, levels, row[::-1], 0.2) is None
    assert find_tensor(trunk.model, levels, row[1:], 0.2) is None


def test_grey_pixels_are_seen_in_three_equal_colours(trunk: Trunk, tmp_path: Path) -> None:
    digits = make_digits(5)
    rows = compute(trunk, digits, tmp_path / "features.npz")
    expected = ask_graph([np.repeat(levels[:, :, None], 3, axis=2) for levels in digits.levels])
    np.testing.assert_allclose(rows, expected, atol=1e-4 * np.abs(expected).max())


def test_a_picture_that_was_there_before_is_not_computed_again(
    trunk: Trunk, photos: PictureFiles, tmp_path: Path, calls: list[int]
) -> None:
    path = tmp_path / "features.npz"
    some = photos.take(range(20))
    before = compute(trunk, some, path)
    assert len(calls) == 20
    after = compute(trunk, photos.take(range(29, 4, -1)), path)
    assert len(calls) == 30
    np.testing.assert_array_equal(after[::-1][:15], before[5:])
    # What is not asked for any more goes.
    assert len(read_features(path).rows) == 25


def test_copies_of_a_picture_are_computed_once(
    trunk: Trunk, photos: PictureFiles, tmp_path: Path, calls: list[int]
) -> None:
    rows = compute(trunk, photos.take([3, 4, 3, 3]), tmp_path / "features.npz")
    assert len(calls) == 2
    np.testing.assert_array_equal(rows[0], rows[3])


def test_what_a_killed_run_has_done_is_used(
    trunk: Trunk,
    photos: PictureFiles,
    tmp_path: Path,
    calls: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "features.npz"
    monkeypatch.setattr(extraction, "KEPT_AT_ONCE", 8)
    pixels = PictureFiles.pixels

    def die(pictures: PictureFiles, place: int, grey: bool, drawing: bool) -> Any:
        if place == 20:
            raise KeyboardInterrupt
        return pixels(pictures, place, grey, drawing)

    with monkeypatch.context() as killed:
        killed.setattr(PictureFiles, "pixels", die)
        with pytest.raises(KeyboardInterrupt):
            extract_features(trunk, [photos], path)
    assert len(read_features(path).rows) == 16
    done = len(calls)
    compute(trunk, photos, path)
    assert len(calls) - done == 14


def test_another_trunk_computes_all_anew(
    imported: Path,
    bundles: Path,
    trunk: Trunk,
    small_trunk: Trunk,
    photos: PictureFiles,
    tmp_path: Path,
    calls: list[int],
) -> None:
    path, some = tmp_path / "features.npz", photos.take(range(6))
    compute(trunk, some, path)
    again = make_trunk(imported, bundles, "float32")
    assert again.digest == trunk.digest
    compute(again, some, path)
    assert len(calls) == 6
    assert len(small_trunk.model) < 0.9 * len(trunk.model)
    compute(small_trunk, some, path)
    assert len(calls) == 12
    assert read_features(path).trunk.precision == "int8"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken off", "cut"])
def test_a_damaged_file_is_computed_anew_with_a_word(
    trunk: Trunk,
    photos: PictureFiles,
    tmp_path: Path,
    calls: list[int],
    capsys: pytest.CaptureFixture[str],
    content: bytes | str,
) -> None:
    path, some = tmp_path / "features.npz", photos.take(range(4))
    whole = compute(trunk, some, path)
    path.write_bytes(path.read_bytes()[:-50] if isinstance(content, str) else content)
    capsys.readouterr()
    np.testing.assert_array_equal(compute(trunk, some, path), whole)
    assert len(calls) == 8
    told = capsys.readouterr().err
    assert f"{path}: expected what the stage features writes" in told
    assert told.rstrip().endswith("features of 4 pictures")


def test_the_same_features_give_the_same_bytes(trunk: Trunk, photos: PictureFiles, tmp_path: Path) -> None:
    for name, order in (("one", [1, 2, 3]), ("two", [3, 1, 2])):
        extract_features(trunk, [photos.take(order)], tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_missing_features_are_counted_and_the_first_picture_named(
    trunk: Trunk, photos: PictureFiles, tmp_path: Path
) -> None:
    compute(trunk, photos.take(range(4)), tmp_path / "features.npz")
    features = read_features(tmp_path / "features.npz")
    with pytest.raises(ModelyardError, match=r"of 6 pictures, those of 2 are missing, 4\.jpg first: `dvc"):
        features.examples(photos.take(range(6)))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.full((2, 4), np.nan, np.float32), "finite features, got NaN"),
        (np.zeros((2, 4)), r"float32 \(2, width\) as features, got float64 \(2, 4\)"),
        (np.zeros(2, np.float32), r"got float32 \(2,\)"),
    ],
)
def test_wrong_features_are_refused(trunk: Trunk, tmp_path: Path, rows: Any, message: str) -> None:
    write_features(tmp_path / "features.npz", Features({"a" * 64: rows[0], "b" * 64: rows[1]}, trunk))
    with pytest.raises(ModelyardError, match=rf"features\.npz.*{message}.*`dvc repro --force features`"):
        read_features(tmp_path / "features.npz")


def test_a_missing_file_says_which_stage_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ModelyardError, match=r"features\.npz is missing: `dvc repro features`"):
        read_features(tmp_path / "features.npz")


def test_features_come_back_with_what_computed_them(
    trunk: Trunk, photos: PictureFiles, tmp_path: Path
) -> None:
    rows = compute(trunk, photos, tmp_path / "features.npz")
    back = read_features(tmp_path / "features.npz")
    assert (back.trunk.digest, back.trunk.model) == (trunk.digest, trunk.model)
    examples = back.examples(photos)
    assert (examples.classes, examples.inputs.shape) == (3, rows.shape)
    np.testing.assert_array_equal(examples.labels, photos.labels)
    assert back.lineage["features.digest"] == trunk.digest
    told = back.lineage["features.trunk"]
    assert told.startswith("inception-v3 (float32) from ")
    assert told.endswith("licence Apache-2.0")


def make_features_params() -> Params:
    return validate_params(compose_values("model=features"))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_joined_model_answers_what_the_head_makes_of_the_features(
    trunk: Trunk, small_trunk: Trunk, photos: PictureFiles, tmp_path: Path, precision: Precision
) -> None:
    params = make_features_params()
    trunk = {"float32": trunk, "int8": small_trunk}[precision]
    compute(trunk, photos, tmp_path / "features.npz")
    features = read_features(tmp_path / "features.npz")
    examples = features.examples(photos)
    train = params.train.model_copy(update={"epochs": 10, "batch_size": 8})
    task = Task(params.model, train, examples, examples)
    head, history = fit_members(task, lambda *_: None)
    assert history[-1]["val_accuracy"] == 1
    save_network(head, tmp_path / "model.keras")
    (tmp_path / "training.json").write_text(json.dumps({"run_id": "4711"}))
    dataset = Dataset("colours", COLOURS, Preprocessing("smooth", 8, 8, 1), "here", "CC0", {})
    files = tmp_path / "model.keras", tmp_path / "training.json"
    source = read_joined(*files, dataset, features, Split(examples, examples), photos)
    package(source, (precision,), params.package, tmp_path / "bundles", tmp_path / "answers.npz")

    bundle = read_bundle(tmp_path / "bundles" / precision)
    proof = bundle.provenance["proof"]
    assert (proof["images"], proof["answers"], proof["same_first"]) == (30, 3, 1)
    assert proof["max_difference"] < 1e-4
    assert (bundle.name, bundle.precision) == ("colours", precision)
    assert bundle.preprocessing == trunk.preprocessing
    assert bundle.provenance["trunk"]["licence"] == "Apache-2.0"
    answers = Predictor(bundle).predict([photos.file(place) for place in range(30)])
    assert [first["label"] for first, *_ in answers] == [COLOURS[label] for label in photos.labels]
    expected = head(examples.inputs).numpy().max(axis=1)
    np.testing.assert_allclose([first["score"] for first, *_ in answers], expected, atol=1e-4)
    # Pictures that it learned from are prototypes, or near them.
    assert np.mean([first["unlikeness"] for first, *_ in answers]) < 0.9


def test_models_that_do_not_fit_together_are_refused(trunk: Trunk) -> None:
    with pytest.raises(ModelyardError, match=rf"fit together, got \[1, \d+\] into \[1, {SIZE}, {SIZE}, 3\]"):
        join_models(trunk.model, trunk.model)


def test_a_network_without_named_features_is_told_so(imported: Path, tmp_path: Path) -> None:
    for path in imported.iterdir():
        (tmp_path / path.name).symlink_to(path)
    about = json.loads((imported / "provenance.json").read_text())
    about["reading"]["features"] = None
    (tmp_path / "provenance.json").unlink()
    (tmp_path / "provenance.json").write_text(json.dumps(about))
    with pytest.raises(ModelyardError, match=r"conf/ names none: set pretrained\.features"):
        make_trunk(tmp_path, tmp_path / "bundles", "float32")


def test_features_that_are_no_numbers_are_refused(photos: PictureFiles, tmp_path: Path) -> None:
    from modelyard.networks.convert import convert_network

    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    network.set_weights([weight * np.float32(np.nan) for weight in network.get_weights()])
    how = Preprocessing("smooth", 8, 8, 3)
    broken = Trunk(convert_network(network, "float32"), "float32", how, {"name": "broken"})
    with pytest.raises(ModelyardError, match="expected numbers, got NaN"):
        extract_features(broken, [photos.take(range(3))], tmp_path / "features.npz")
    assert not (tmp_path / "features.npz").exists()


def test_the_stage_computes_the_chosen_pictures_and_those_of_validation_without_tensorflow(
    imported: Path, bundles: Path, photos: PictureFiles, tmp_path: Path
) -> None:
    values = make_features_params().model_dump(mode="json")
    values["train"]["images"] = 4
    write_pictures(tmp_path / "train.npz", photos.take(range(20)))
    write_pictures(tmp_path / "validation.npz", photos.take(range(20, 30)))
    names = ("train", "validation", "out")
    words = [word for name in names for word in (f"--{name}", str(tmp_path / f"{name}.npz"))]
    words += ["--source", str(photos.folder), "--imported", str(imported), "--bundles", str(bundles)]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    assert " ai_edge_litert" in run_stage(tmp_path, words, refused=(" tensorflow", " keras", " mlflow"))
    features = read_features(tmp_path / "out.npz")
    assert set(features.rows) == {*photos.sha256[:4], *photos.sha256[20:]}
    assert features.trunk.precision == values["features"]["precision"]


def run_stage(folder: Path, words: list[str], refused: tuple[str, ...]) -> str:
    """Run the stage, see that it imports none of the refused modules, and return what it imports."""
    command = [sys.executable, "-X", "importtime", str(ROOT / "pipelines/features.py"), *words]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=clean_environment()
    )
    assert done.returncode == 0, done.stderr
    assert not [module for module in refused if module in done.stderr]
    return done.stderr


def test_a_model_on_pixels_costs_no_features_and_no_tensorflow(
    photos: PictureFiles, values: dict[str, Any], tmp_path: Path
) -> None:
    names = ("train", "validation", "source", "imported", "bundles", "out")
    words = [word for name in names for word in (f"--{name}", str(tmp_path / f"{name}.npz"))]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    run_stage(tmp_path, words, refused=(" tensorflow", " keras", " ai_edge_litert", " mlflow"))
    with pytest.raises(ModelyardError, match="features of 30 pictures, those of 30 are missing"):
        read_features(tmp_path / "out.npz").examples(photos)
