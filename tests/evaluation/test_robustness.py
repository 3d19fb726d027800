"""Robustness: a real bundle asked for corrupted pictures, in this process and in others."""

import csv
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tflite_models
from modelyard.errors import ModelyardError
from modelyard.evaluation.asking import Files, ask_for_all
from modelyard.evaluation.corruptions import KINDS, corrupt
from modelyard.evaluation.robustness import Robustness, measure_robustness
from modelyard.evaluation.served import Served, ask_bundle
from modelyard.images.pictures import PixelPictures
from modelyard.inference.predictor import Predictor
from modelyard.params import Corruptions, Params
from picture_folders import hold_files
from tflite_models import draw_band, encode

COUNT = 41  # a prime number: a dropped remainder would show
CLASSES = tuple("0123456789")
LABELS = (np.arange(COUNT) % 10).astype(np.uint8)
BANDS = PixelPictures(LABELS, CLASSES, np.stack([draw_band(int(label)) for label in LABELS]))
ALL = Corruptions(pictures=1000, kinds=None, seed=0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tflite_models.digit_bundle(tmp_path_factory.mktemp("bundles") / "float32", fit="smooth").folder


@pytest.fixture
def served(bundle: Path, params: Params) -> Served:
    quick = {"latency_runs": 10, "latency_warmup": 0}
    return ask_bundle(bundle, BANDS, params.evaluate.model_copy(update=quick))


def use_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two processes ask, however few pictures there are, and on one processor too."""
    monkeypatch.setattr("modelyard.evaluation.asking.PATIENCE_S", -1.0)
    monkeypatch.setattr("modelyard.evaluation.asking.count_processors", lambda: 2)


def test_a_right_answer_is_one_to_the_corrupted_picture_as_it_is_served(served: Served) -> None:
    found = measure_robustness(served, BANDS, ALL.model_copy(update={"seed": 4}))
    assert found is not None
    assert sorted(found.places) == list(range(COUNT))
    assert found.unchanged.all()
    for row, place in enumerate(map(int, found.places)):
        for column, kind in enumerate(found.kinds):
            # Each kind begins with another strength, and takes them in turn.
            copy = corrupt(BANDS.levels[place], kind, (row + column) % 3 + 1, (4, place))
            (answer,) = served.predictor.predict([encode(copy)], top_k=1)
            assert found.right[row, column] == (answer[0]["id"] == LABELS[place])  # type: ignore[index]
    assert 0 < found.metrics()["worst_accuracy"] < found.metrics()["mean_accuracy"] < 1


def test_several_processes_give_the_answers_of_one(
    served: Served, bundle: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = measure(served)
    use_two_processes(monkeypatch)
    again = ask_bundle(bundle, BANDS, params.evaluate.model_copy(update={"latency_runs": 10}))
    np.testing.assert_array_equal(again.probabilities, served.probabilities)
    np.testing.assert_array_equal(measure(again).right, alone.right)


def test_the_mean_is_of_the_kinds_and_the_worst_is_one_of_them(tmp_path: Path) -> None:
    right = np.array([[1, 1], [1, 0], [0, 0], [1, 0]], bool)
    made = Robustness(("noise", "blur"), np.arange(4), right, np.array([1, 1, 1, 0], bool), seed=5)
    assert made.metrics() == {"mean_accuracy": 0.5, "worst_accuracy": 0.25, "answers": 8}
    assert made.report() == {
        "pictures": 4,
        "seed": 5,
        "unchanged": 0.75,
        "worst": {"kind": "blur", "title": "blur"},
        "kinds": {"noise": 0.75, "blur": 0.25},
    }
    made.write(tmp_path / "accuracy.csv")
    with (tmp_path / "accuracy.csv").open() as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert rows[:4] == [
        ("none", "0", "4", "3", "0.750000"),
        ("noise", "1", "2", "2", "1.000000"),
        ("noise", "2", "1", "1", "1.000000"),
        ("noise", "3", "1", "0", "0.000000"),
    ]
    assert sum(int(right) for kind, _, _, right, _ in rows if kind == "blur") == 1


def test_the_pictures_depend_on_the_seed_and_neither_on_the_kinds_nor_on_the_network(
    served: Served,
) -> None:
    few = {"pictures": 7, "kinds": ("line", "noise")}
    chosen = measure(served, **few)
    assert chosen.kinds == ("noise", "line")
    assert chosen.right.shape == (7, 2)
    whole = measure(served, pictures=7)
    np.testing.assert_array_equal(chosen.places, whole.places)
    np.testing.assert_array_equal(chosen.right, whole.right[:, [0, len(KINDS) - 1]])
    assert set(measure(served, **few, seed=1).places) != set(chosen.places)


def test_of_files_a_tenth_is_asked_and_of_none_nothing(served: Served, tmp_path: Path) -> None:
    files = hold_files(tmp_path, [encode(draw_band(int(label))) for label in LABELS], LABELS, CLASSES)
    found = measure_robustness(served, files, ALL.model_copy(update={"pictures": 31, "kinds": ("fog",)}))
    assert found is not None
    assert len(found.places) == 4
    assert measure_robustness(served, files, ALL.model_copy(update={"pictures": 0})) is None


def test_a_large_network_is_asked_about_a_hundredth(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    small = measure(served, pictures=100)
    monkeypatch.setattr("modelyard.evaluation.robustness.LARGE_BYTES", served.bundle.size_bytes - 1)
    large = measure(served, pictures=200)
    assert len(small.places) == COUNT
    assert large.places.tolist() == small.places[:2].tolist()
    np.testing.assert_array_equal(large.right, small.right[:2])


def test_a_picture_that_another_process_cannot_read_is_named(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_two_processes(monkeypatch)
    files = hold_files(tmp_path, [b"no picture"] * COUNT, LABELS, CLASSES)
    with pytest.raises(ModelyardError, match=r"expected a PNG or JPEG, got"):
        measure_robustness(served, files, ALL)


def test_a_process_that_is_killed_ends_the_work_with_a_line(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_two_processes(monkeypatch)
    with pytest.raises(ModelyardError, match="was killed"):
        ask_for_all(partial(_kill, os.getpid()), served.predictor, BANDS, range(COUNT), "asking", 0)


def _kill(tests: int, _predictor: Predictor, _files: Files, _place: int) -> None:
    assert os.getpid() != tests
    os.kill(os.getpid(), signal.SIGKILL)


def measure(served: Served, **changed: Any) -> Robustness:
    found = measure_robustness(served, BANDS, ALL.model_copy(update=changed))
    assert found is not None
    return found
