"""Rows on their way to the process that records: bounds, a process that hangs or ends, stops."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pyarrow import dataset

from modelyard.inference.predictor import Predictor
from modelyard.service import backoff
from modelyard.service.models.models import ServedVersion
from modelyard.service.recording import answered as bounds
from modelyard.service.recording import recorder
from modelyard.service.recording.answered import Answered
from modelyard.service.recording.counters import CounterFolder
from modelyard.service.recording.delivery import child, supervisor
from modelyard.service.recording.delivery.messages import Message
from modelyard.service.recording.delivery.packing import Packed
from modelyard.service.recording.options import RecordingOptions
from modelyard.service.recording.recorder import FULL_PROBLEM, Recorder
from tflite_models import digit_bundle, draw_band, encode
from waiting import wait_until

FILE = encode(draw_band(3))
LABEL = (1_000_000, "an-id", 0, "1", "", "3", "feedback")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> ServedVersion:
    return ServedVersion("mnist", 1, Predictor(digit_bundle(tmp_path_factory.mktemp("served") / "mnist")))


def answer(served: ServedVersion, images: int = 1) -> Answered:
    answered = Answered("an-id", time.time_ns() // 1000, served)
    served.predictor.predict([FILE] * images, observe=answered.keep)
    return answered


class Watched:
    """A recorder with its process, and the metrics of both; `start` is left to the test."""

    def __init__(self, place: Path) -> None:
        self._place, self._registry = place, CollectorRegistry()
        self.counters = CounterFolder(self._registry)
        self.recorder = Recorder(RecordingOptions(str(place)), self.counters.environment)

    def count_dropped(self, reason: str, kind: str = "answer") -> float:
        labels = {"kind": kind, "reason": reason}
        return self._registry.get_sample_value("modelyard_record_dropped_total", labels) or 0.0

    def count_rows(self) -> int:
        if not (self._place / "answers").exists():
            return 0
        rows = dataset.dataset(self._place / "answers", format="parquet", partitioning="hive")
        return int(rows.count_rows())


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path / "place")
    yield watched
    watched.counters.remove()


def test_what_does_not_fit_is_counted_with_its_reason_and_readyz_is_told(
    served: ServedVersion, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MOST_BYTES", 3 * (28 * 28 * 4 + 40 + len(FILE)))
    watched.recorder._answers._most_rows = 5
    huge = answer(served, 7)
    monkeypatch.undo()
    for answered in (huge, *(answer(served, 2) for _ in range(3))):
        watched.recorder.offer(answered)
    assert watched.recorder.problems() == [FULL_PROBLEM]
    watched.recorder.start()
    watched.recorder.stop()
    assert watched.count_rows() == 5
    assert watched.count_dropped("too_large") == 4
    assert watched.count_dropped("queue_full") == 4


def test_a_process_that_hangs_does_not_hold_up_the_stop(
    served: ServedVersion,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(recorder, "STOP_S", 0.3)
    processes: list[child.Child] = []
    monkeypatch.setattr(
        supervisor, "Child", lambda *given: processes.append(child.Child(*given)) or processes[-1]
    )
    watched.recorder.start()
    os.kill(processes[0].pid, signal.SIGSTOP)
    watched.recorder.offer(answer(served))
    started = time.monotonic()
    watched.recorder.stop()
    assert time.monotonic() - started < 5
    assert processes[0].wait(0) == -signal.SIGKILL
    assert "the last rows are lost, since the process that records does not end" in caplog.text


def test_where_no_room_is_left_a_label_is_refused(served: ServedVersion, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_text("in the way")
    watched = Watched(place)
    try:
        assert watched.recorder.offer_label("mnist", LABEL)
        watched.recorder.start()
        for _ in range(21):
            watched.recorder.offer(answer(served, 1000))
            time.sleep(0.02)
        wait_until(lambda: not watched.recorder.offer_label("mnist", LABEL))
        assert any("cannot be written" in problem for problem in watched.recorder.problems())
        watched.recorder.stop()
        # Until now rows waited for the place; the process counted them when it gave up.
        assert watched.count_dropped("place") + watched.count_dropped("queue_full") == 21_000
    finally:
        watched.counters.remove()


def test_rows_that_come_while_others_are_sent_wait_for_the_next_round(
    served: ServedVersion, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    again, sent = answer(served), []

    class Noted(child.Child):
        def send(self, message: Message | Packed) -> None:
            sent.append(message)
            watched.recorder.offer(again)
            super().send(message)

    monkeypatch.setattr(supervisor, "Child", Noted)
    watched.recorder.offer(again)
    watched.recorder.start()
    wait_until(lambda: len(sent) >= 3)
    time.sleep(0.5)
    # A round takes a tenth of a second; without a pause there would be a thousand in this time.
    assert len(sent) < 50
    watched.recorder.stop()


def test_a_request_that_cannot_be_handed_over_is_counted_and_the_next_is_recorded(
    served: ServedVersion, watched: Watched
) -> None:
    broken = answer(served)
    unpicklable: Any = threading.Lock()
    broken.seen[0] = broken.seen[0]._replace(unlikeness=unpicklable)
    watched.recorder.start()
    watched.recorder.offer(broken)
    wait_until(lambda: watched.recorder._dropped or watched.count_dropped("failed"))
    watched.recorder.offer(answer(served))
    watched.recorder.stop()
    assert (watched.count_rows(), watched.count_dropped("failed")) == (1, 1)


def test_a_process_that_cannot_be_started_again_is_tried_until_it_can(
    served: ServedVersion, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST_PAUSE_S", 0.05)
    processes: list[child.Child] = []
    failures = [OSError("no memory"), OSError("no memory")]

    def start(*given: Any) -> child.Child:
        if processes and failures:
            raise failures.pop()
        processes.append(child.Child(*given))
        return processes[-1]

    monkeypatch.setattr(supervisor, "Child", start)
    watched.recorder.start()
    processes[0].kill()
    wait_until(lambda: len(processes) == 2)
    watched.recorder.offer(answer(served))
    watched.recorder.stop()
    assert (failures, watched.count_rows()) == ([], 1)


def test_a_stop_starts_a_process_for_the_last_rows_where_the_last_one_has_just_ended(
    served: ServedVersion, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST_PAUSE_S", 60.0)
    watched.recorder.start()
    first = watched.recorder._supervisor._child
    assert first is not None
    first.kill()
    wait_until(lambda: watched.recorder._supervisor._child is None)
    watched.recorder.offer(answer(served))
    watched.recorder.stop()
    assert watched.count_rows() == 1


def test_a_process_that_ends_beside_the_stop_is_told(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.recorder.start()
    running = watched.recorder._supervisor._child
    assert running is not None
    watched.recorder._supervisor.forbid_restarts()
    running.kill()
    watched.recorder.stop()
    assert "the last rows are lost, since the process that records ended (exit code -9)" in caplog.text


def test_a_stop_after_a_start_that_failed_says_nothing(watched: Watched) -> None:
    watched.recorder.stop()
    assert watched.count_rows() == 0


def test_drops_take_no_memory_while_the_process_hangs(served: ServedVersion, watched: Watched) -> None:
    watched.recorder._answers._most_rows = 0
    one = answer(served)
    for _ in range(1000):
        watched.recorder.offer(one)
    assert dict(watched.recorder._dropped) == {("answer", "queue_full"): 1000}
