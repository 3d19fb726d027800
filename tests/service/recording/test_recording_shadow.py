"""A shadow: it answers what the champion has answered, in time that nobody needs, and is dropped first."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from prometheus_client import CollectorRegistry
from pyarrow import dataset

from delivered import deliver
from modelyard.inference.predictor import Predictor
from modelyard.inference.runtime.interpreters import Given
from modelyard.monitoring.tables.schema import SHADOW
from modelyard.service.models.models import ServedVersion, Unavailable, UnknownModel
from modelyard.service.models.registry_state import RegisteredVersion
from modelyard.service.recording import challengers
from modelyard.service.recording.answered import Answered
from modelyard.service.recording.challengers import ChallengerSearch
from modelyard.service.recording.counters import RecordingCounters
from modelyard.service.recording.delivery.messages import Batch, Challenger
from modelyard.service.recording.process import shadow as shadows
from modelyard.service.recording.process import spare_time
from modelyard.service.recording.process.shadow import Shadow
from modelyard.service.recording.process.spare_time import SpareTime
from service_process import run_serve
from small_registry import SEVEN, SmallRegistry
from tflite_models import digit_bundle, digit_model, draw_band, encode
from waiting import wait_until

FILES = [encode(draw_band(digit)) for digit in range(10)]


class Pair:
    """Models with a champion 1 and a challenger 2, or whatever `challenger` is set to."""

    def __init__(self, folder: Path, fit: str = "mnist") -> None:
        self.champion = ServedVersion("mnist", 1, Predictor(digit_bundle(folder / "1")))
        bundle = digit_bundle(folder / "2", digit_model(5.0), fit=fit)
        self.fetched = 0
        self.challenger: ServedVersion | Exception = ServedVersion("mnist", 2, Predictor(bundle))

    @property
    def found(self) -> Challenger:
        assert isinstance(self.challenger, ServedVersion)
        return Challenger(1, 2, self.challenger.predictor.bundle.folder)

    def get(self, name: str) -> ServedVersion:
        assert name == "mnist"
        return self.champion

    def resolve(self, name: str, alias: str) -> RegisteredVersion:
        assert (name, alias) == ("mnist", "challenger")
        if isinstance(self.challenger, Exception):
            raise self.challenger
        return RegisteredVersion(self.challenger.version, {}, {})

    def fetch(self, name: str, wanted: RegisteredVersion) -> Path:
        assert (name, wanted.version) == ("mnist", 2)
        self.fetched += 1
        return self.found.folder


class Watched:
    """A shadow of a pair, with its metrics; which challenger there is, it is told by the test."""

    def __init__(self, pair: Pair, spare: float = 1.0) -> None:
        self.pair = pair
        self._registry = CollectorRegistry()
        self.shadow = Shadow(RecordingCounters(self._registry), lambda: spare)

    def offer(self, *digits: int, version: int = 1) -> None:
        served = ServedVersion("mnist", version, self.pair.champion.predictor)
        answered = Answered("an-id", 1_000_000, served)
        served.predictor.predict([FILES[digit] for digit in digits], observe=answered.keep)
        for batch in deliver(answered):
            self.shadow.offer(batch)

    def dropped(self, reason: str = "load") -> float:
        labels = {"kind": "shadow", "reason": reason}
        return self._registry.get_sample_value("modelyard_record_dropped_total", labels) or 0.0

    def wait(self) -> list[Batch]:
        found = []
        for _ in range(200):
            if found := self.shadow.take():
                break
            time.sleep(0.05)
        self.shadow.stop()
        return found


@pytest.mark.parametrize("fit", ["mnist", "stretch"])
def test_a_shadow_answers_the_same_pictures_as_its_version_does_when_it_is_asked(
    tmp_path: Path, fit: str
) -> None:
    pair = Pair(tmp_path, fit)
    watched = Watched(pair)
    watched.shadow.start()
    # Pictures that come before the challenger is known wait for it.
    watched.offer(3, 4)
    time.sleep(0.1)
    watched.shadow.challengers = {"mnist": pair.found}
    [found] = watched.wait()
    challenger = pair.challenger
    assert isinstance(challenger, ServedVersion)
    assert (found.version.number, found.role, len(found.inputs)) == (2, SHADOW, 2)
    for image, scores, digit in zip(found.images, found.scores, (3, 4), strict=True):
        [expected] = challenger.predictor.predict([FILES[digit]])
        assert challenger.predictor.rank(Given(scores, image.unlikeness), 5) == expected
        assert (image.request_id, image.time_us) == ("an-id", 1_000_000)
    assert [image.place for image in found.images] == [0, 1]
    assert watched.dropped() == 0


def test_nothing_is_answered_or_dropped_beside_a_former_champion_or_without_a_challenger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "MOST_ROWS", 2)
    watched = Watched(Pair(tmp_path))
    watched.shadow.challengers = {"mnist": watched.pair.found}
    for _ in range(3):
        watched.offer(3, version=7)
    watched.shadow.challengers = {"mnist": None}
    for _ in range(3):
        watched.offer(3)
    watched.shadow.start()
    time.sleep(0.2)
    watched.shadow.stop()
    assert (watched.shadow.take(), watched.dropped()) == ([], 0.0)


def test_what_does_not_fit_or_is_not_answered_before_the_stop_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "MOST_ROWS", 10)
    watched = Watched(Pair(tmp_path))
    watched.shadow.start()
    watched.offer(3)
    # The first one is waiting for its challenger, and no longer in the queue.
    wait_until(lambda: watched.shadow._queue.rows == 0)
    for _ in range(29):
        watched.offer(3)
    assert watched.dropped() == 19
    watched.shadow.stop()
    assert (watched.shadow.take(), watched.dropped()) == ([], 30.0)


def test_without_spare_time_images_are_answered_after_long_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "LEAST_PAUSE_S", 60.0)
    monkeypatch.setattr(shadows, "STOP_S", 0.0)
    watched = Watched(Pair(tmp_path), spare=0.4)
    watched.shadow.challengers = {"mnist": watched.pair.found}
    # Loading takes a turn, too.
    watched.shadow._load(watched.pair.found, watched.pair.champion.predictor.limits)
    watched.shadow._next_turn = 0.0
    watched.shadow.start()
    watched.offer(*range(10))
    wait_until(lambda: watched.shadow._next_turn > 0)
    watched.shadow.stop()
    [found] = watched.shadow.take()
    # The first one has its turn at once, the next one a minute later.
    assert (len(found.images), watched.dropped()) == (1, 9.0)


@pytest.mark.parametrize("has_counts", [True, False])
def test_spare_time_is_a_share_that_a_busy_processor_lessens(
    has_counts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = tmp_path / "stat"
    monkeypatch.setattr(spare_time, "COUNTS", counts)
    monkeypatch.setattr(spare_time, "LEAST_S", 0.0)
    monkeypatch.setattr(spare_time, "count_processors", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (3.0, 0.0, 0.0))
    if has_counts:
        counts.write_text("cpu 100 10 20 500 30 1 2 3 0 0\ncpu0 1 2 3\n")
    spare = SpareTime()
    if has_counts:
        # 60 of 100 ticks for users, 5 at a low priority, 15 idle, 5 waiting for a disk, 15 of the system.
        counts.write_text("cpu 160 15 35 515 35 1 2 3 0 0\ncpu0 1 2 3\n")
    assert spare.share() == 0.25


def test_what_waits_at_the_stop_is_still_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadows, "STOP_S", 60.0)
    watched = Watched(Pair(tmp_path))
    watched.shadow.challengers = {"mnist": watched.pair.found}
    for digit in range(8):
        watched.offer(digit)
    watched.shadow.start()
    watched.shadow.stop()
    assert (len(watched.shadow.take()), watched.dropped()) == (8, 0.0)


def test_a_challenger_that_is_broken_or_cannot_prepare_a_picture_costs_its_rows(tmp_path: Path) -> None:
    pair = Pair(tmp_path, "stretch")
    watched = Watched(pair)
    watched.shadow.challengers = {"mnist": Challenger(1, 2, tmp_path / "nowhere")}
    watched.shadow.start()
    watched.offer(3, 4)
    for _ in range(200):
        if watched.dropped("failed") == 2:
            break
        time.sleep(0.05)
    watched.shadow.challengers = {"mnist": pair.found}
    answered = Answered("an-id", 1_000_000, pair.champion)
    pair.champion.predictor.predict([FILES[3], FILES[4]], observe=answered.keep)
    [batch] = deliver(answered)
    batch.images[0] = batch.images[0]._replace(content=np.zeros((3, 3), np.uint8))
    watched.shadow.offer(batch)
    [found] = watched.wait()
    assert [image.place for image in found.images] == [1]
    assert watched.dropped("failed") == 3


def test_a_challenger_is_found_and_told_of_until_it_can_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(challengers, "LOOK_S", 0.02)
    pair = Pair(tmp_path)
    expected = pair.found
    other, pair.challenger = pair.challenger, Unavailable("version 2 cannot be loaded (it is broken)")
    models: Any = pair
    search = ChallengerSearch(models, "challenger")
    search.start()
    search.want("mnist")
    wait_until(
        lambda: (
            search.problems() == ["no shadow answers beside mnist: version 2 cannot be loaded (it is broken)"]
        )
    )
    assert search.found == {"mnist": None}
    pair.challenger = UnknownModel("no such alias")
    wait_until(lambda: search.problems() == [])
    pair.challenger = other
    wait_until(lambda: search.found == {"mnist": expected})
    time.sleep(0.2)
    # It is neither fetched nor tried again while the registry says the same.
    assert pair.fetched == 1
    pair.challenger = pair.champion
    wait_until(lambda: search.found == {"mnist": None})
    search.stop()
    assert search.problems() == []


def test_the_alias_of_the_registry_is_the_shadow_of_the_champion(tmp_path: Path) -> None:
    registry = SmallRegistry(tmp_path / "registry")
    registry.point(registry.add(mark="a"))
    registry.point(registry.add(mark="b"), alias="challenger")
    place = tmp_path / "place"
    options = ["--record", str(place), "--shadow", "challenger", "--record-images", "0.5"]
    with run_serve(registry.uri, tmp_path / "copy", "--model", "mnist", *options) as address:
        headers = {"Content-Type": "image/png"}
        answer = requests.post(f"{address}/models/mnist/predict", SEVEN, headers=headers, timeout=20)
        wait_for_trial(tmp_path / "copy")
        # It answers at once; rows are written at the stop.
        time.sleep(1.0)
    rows = dataset.dataset(place / "answers", format="parquet", partitioning="hive").to_table().to_pylist()
    told = {row["role"]: (row["version"], row["label"], row["request_id"], row["index"]) for row in rows}
    id_ = answer.headers["x-request-id"]
    assert told == {"answer": ("1", "7a", id_, 0), "shadow": ("2", "7b", id_, 0)}


def wait_for_trial(copy: Path) -> None:
    """Wait until both versions were tried: the challenger is about to answer."""
    for _ in range(400):
        if sum('"tried": "LiteRT' in path.read_text() for path in copy.glob("bundles/*/attempts.json")) == 2:
            return
        time.sleep(0.05)
    raise AssertionError("no challenger was tried within twenty seconds")
