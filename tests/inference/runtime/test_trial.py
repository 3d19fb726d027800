"""A bundle is tried in a process of its own: whatever it does there, it is told, and nobody else ends."""

import shutil
import time
from pathlib import Path

import pytest

from modelyard.errors import ModelyardError
from modelyard.inference.bundle import BundleError
from modelyard.inference.runtime import trial
from modelyard.inference.runtime.trial import Trials, try_bundle
from modelyard.registry.artifacts import check_bundle
from modelyard.registry.verification import verify_registry
from modelyard.tracking.store import Store
from mutated_models import crashing_model, mutate
from small_registry import SmallRegistry
from tflite_models import NAN_GAIN, digit_bundle, digit_model

MUTANTS = 500


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digit_bundle(tmp_path_factory.mktemp("trial") / "mnist").folder


def test_a_whole_bundle_passes(whole: Path) -> None:
    try_bundle(whole)


def test_what_is_wrong_with_a_bundle_is_told_and_the_next_one_is_tried(whole: Path, tmp_path: Path) -> None:
    wrong = {
        "LiteRT cannot load its model": b"\x1c\0\0\0TFL3 and nothing else",
        "its model gives no answer": digit_model(NAN_GAIN),
        "LiteRT crashed on its model": crashing_model(digit_model()),
        "it is no bundle": b"no model",
    }
    with Trials() as trials:
        for reason, model in wrong.items():
            folder = Path(shutil.copytree(whole, tmp_path / "bundle", dirs_exist_ok=True))
            (folder / "model.tflite").write_bytes(model)
            with pytest.raises(BundleError) as caught:
                trials.run(folder)
            assert caught.value.reason.startswith(reason)
            assert str(tmp_path) not in caught.value.reason
            trials.run(whole)


def test_no_mutant_of_a_model_ends_the_process_that_tries_it(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "bundle"))
    refused = 0
    with Trials() as trials:
        for mutant in mutate(digit_model(), MUTANTS):
            (folder / "model.tflite").write_bytes(mutant)
            try:
                trials.run(folder)
            except BundleError:
                refused += 1
        trials.run(whole)
    # Many must be damaged, or nothing was put to the test.
    assert refused > MUTANTS / 10


def test_a_trial_that_takes_too_long_is_ended(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "TIME_LIMIT_S", 1)
    monkeypatch.setattr(trial, "_load", lambda _: time.sleep(60))
    assert "took longer than 1 s" in trial._fork(whole)[1]


def test_a_trial_has_no_more_memory_than_a_model_needs(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def take(folder: Path) -> tuple[str, str]:
        try:
            return f"{len(bytearray(64 << 30))} bytes", "it was given"
        except MemoryError:
            return "no memory", "it was refused"

    monkeypatch.setattr(trial, "_load", take)
    assert trial._fork(whole) == ["no memory", "it was refused"]


def test_a_registered_version_that_crashes_litert_is_found_and_refused(tmp_path: Path) -> None:
    registry = SmallRegistry(tmp_path / "registry")
    registry.add(mark="a")
    registry.add(mark="b", model=crashing_model(digit_model()))
    registry.client.create_model_version("mnist", "file:///nowhere")
    store = Store(registry.client, registry.uri)
    found = [one for one in verify_registry(store) if "LiteRT crashed on its model" in one.problem]
    assert [one.subject for one in found] == ["mnist/2"]
    for version, message in (("2", "LiteRT crashed on its model"), ("3", "it has no content_key")):
        with pytest.raises(ModelyardError, match=f"models:/mnist/{version}: .*{message}"):
            check_bundle(store, registry.client.get_model_version("mnist", version))
    check_bundle(store, registry.client.get_model_version("mnist", "1"))
