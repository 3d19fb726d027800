"""A shadow: it answers what the champion has answered, in time that nobody needs, and is dropped first."""

import time
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client import CollectorRegistry
from pyarrow import dataset

from modelyard.inference.predictor import Predictor
from modelyard.inference.runtime.interpreters import Given
from modelyard.monitoring.tables.schema import ANSWER, SHADOW
from modelyard.service.models.models import ServedVersion, Unavailable, UnknownModel
from modelyard.service.recording import shadow as shadows
from modelyard.service.recording.answered import Answered
from modelyard.service.recording.counters import RecordingCounters
from modelyard.service.recording.shadow import Shadow
from service_process import run_serve
from small_registry import SEVEN, SmallRegistry
from tflite_models import digit_bundle, digit_model, draw_band, encode

FILES = [encode(draw_band(digit)) for digit in range(10)]


class Pair:
    """Models with a champion 1 and a challenger 2, or whatever `challenger` is set to."""

    def __init__(self, folder: Path, fit: str = "mnist") -> None:
        self.champion = ServedVersion("mnist", 1, Predictor(digit_bundle(folder / "1")))
        bundle = digit_bundle(folder / "2", digit_model(5.0), fit=fit)
        self.challenger: ServedVersion | Exception = ServedVersion("mnist", 2, Predictor(bundle))

    def get(self, name: str, alias: str | None = None) -> ServedVersion:
        assert name == "mnist"
        if alias is None:
            return self.champion
        if isinstance(self.challenger, Exception):
            raise self.challenger
        return self.challenger


class Watched:
    """A shadow of a pair, with what it recorded."""

    def __init__(self, pair: Pair, inside: int = 0) -> None:
        self.pair, self.inside = pair, inside
        self.recorded: list[Answered] = []
        self._registry = CollectorRegistry()
        counters = RecordingCounters(self._registry)
        models: Any = pair
        self.shadow = Shadow(models, "challenger", lambda: self.inside, self.recorded.append, counters)

    def offer(self, *digits: int, served: ServedVersion | None = None) -> None:
        answered = Answered("an-id", 1_000_000, ANSWER, served or self.pair.champion)
        self.pair.champion.predictor.predict([FILES[digit] for digit in digits], observe=answered.keep)
        self.shadow.offer(answered)

    def dropped(self) -> float:
        labels = {"kind": "shadow", "reason": "load"}
        return self._registry.get_sample_value("modelyard_record_dropped_total", labels) or 0.0

    def wait(self) -> list[Answered]:
        for _ in range(100):
            if self.recorded:
                break
            time.sleep(0.05)
        self.shadow.stop()
        return self.recorded


@pytest.mark.parametrize("fit", ["mnist", "stretch"])
def test_a_shadow_answers_the_same_pictures_as_its_version_does_when_it_is_asked(
    tmp_path: Path, fit: str
) -> None:
    pair = Pair(tmp_path, fit)
    watched = Watched(pair)
    watched.shadow.start()
    watched.offer(3, 4)
    [found] = watched.wait()
    challenger = pair.challenger
    assert isinstance(challenger, ServedVersion)
    assert (found.request_id, found.time_us, found.role, found.served) == (
        "an-id",
        1_000_000,
        SHADOW,
        challenger,
    )
    for seen, digit in zip(found.seen, (3, 4), strict=True):
        [expected] = challenger.predictor.predict([FILES[digit]])
        assert challenger.predictor.rank(Given(seen.scores, seen.unlikeness), 5) == expected
    assert [seen.place for seen in found.seen] == [0, 1]


def test_nothing_is_answered_beside_another_version_or_by_the_champion_itself(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    watched = Watched(pair)
    watched.shadow.start()
    watched.offer(3, served=ServedVersion("mnist", 7, pair.champion.predictor))
    time.sleep(0.2)
    pair.challenger = pair.champion
    watched.offer(3)
    time.sleep(0.2)
    watched.shadow.stop()
    assert (watched.recorded, watched.dropped(), watched.shadow.problems()) == ([], 0.0, [])


def test_a_challenger_that_cannot_be_loaded_is_told_until_it_can_and_one_that_is_not_there_is_no_problem(
    tmp_path: Path,
) -> None:
    pair = Pair(tmp_path)
    challenger, pair.challenger = pair.challenger, Unavailable("version 2 cannot be loaded (it is broken)")
    watched = Watched(pair)
    watched.shadow.start()
    watched.offer(3)
    for _ in range(100):
        if watched.shadow.problems():
            break
        time.sleep(0.05)
    assert watched.shadow.problems() == [
        "no shadow answers beside mnist: version 2 cannot be loaded (it is broken)"
    ]
    pair.challenger = UnknownModel("no such alias")
    watched.offer(3)
    time.sleep(0.2)
    assert watched.shadow.problems() == []
    pair.challenger = challenger
    watched.offer(3)
    assert len(watched.wait()) == 1


def test_under_load_a_shadow_answers_little_and_what_does_not_fit_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "MOST_ROWS", 10)
    monkeypatch.setattr(shadows, "LEAST_PAUSE_S", 60.0)
    watched = Watched(Pair(tmp_path), inside=1)
    watched.shadow.start()
    for _ in range(30):
        watched.offer(3)
        time.sleep(0.005)
    watched.shadow.stop()
    # The first one has its turn at once, the next one a minute later.
    assert sum(len(answered.seen) for answered in watched.recorded) == 1
    assert watched.dropped() == 29


def test_under_load_a_shadow_answers_one_image_in_so_many_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "LEAST_PAUSE_S", 0.0)
    monkeypatch.setattr(shadows, "PAUSES", 0)
    monkeypatch.setattr(shadows, "REQUESTS", 20)
    watched = Watched(Pair(tmp_path), inside=1)
    watched.shadow.start()
    for number in range(40):
        watched.offer(3)
        # The first ones wait until the first has its turn.
        while number == 0 and not watched.recorded:
            time.sleep(0.005)
    time.sleep(0.2)
    watched.shadow.stop()
    assert len([answered for answered in watched.recorded if answered.seen]) == 2


def test_the_alias_of_the_registry_is_the_shadow_of_the_champion(tmp_path: Path) -> None:
    registry = SmallRegistry(tmp_path / "registry")
    registry.point(registry.add(mark="a"))
    registry.point(registry.add(mark="b"), alias="challenger")
    place = tmp_path / "place"
    options = ["--record", str(place), "--shadow", "challenger", "--record-images", "0.5"]
    with run_serve(registry.uri, tmp_path / "copy", "--model", "mnist", *options) as address:
        headers = {"Content-Type": "image/png"}
        answer = requests.post(f"{address}/models/mnist/predict", SEVEN, headers=headers, timeout=20)
        wait_for_load(address, version=2)
        # It answers at once; rows are written at the stop.
        time.sleep(0.5)
    rows = dataset.dataset(place / "answers", format="parquet", partitioning="hive").to_table().to_pylist()
    told = {row["role"]: (row["version"], row["label"], row["request_id"], row["index"]) for row in rows}
    id_ = answer.headers["x-request-id"]
    assert told == {"answer": ("1", "7a", id_, 0), "shadow": ("2", "7b", id_, 0)}


def wait_for_load(address: str, version: int) -> None:
    for _ in range(200):
        if f'outcome="loaded",version="{version}"' in requests.get(f"{address}/metrics", timeout=20).text:
            return
        time.sleep(0.05)
    raise AssertionError(f"version {version} was not loaded within ten seconds")
