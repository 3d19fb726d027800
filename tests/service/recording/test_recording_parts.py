"""Rows on their way to their parts: bounds, places that fail, stops."""

import hashlib
import os
import struct
import threading
import time
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from pyarrow import dataset

from delivered import deliver
from modelyard.inference.predictor import Predictor
from modelyard.monitoring.tables import writing
from modelyard.monitoring.tables.schema import ANSWERS, LABELS
from modelyard.service import backoff
from modelyard.service.models.models import ServedVersion
from modelyard.service.recording.answered import Answered
from modelyard.service.recording.counters import MOST_LABELS, OTHER, RecordingCounters
from modelyard.service.recording.delivery import packing
from modelyard.service.recording.delivery.messages import Drops, Message, Status
from modelyard.service.recording.delivery.packing import pack_requests, send
from modelyard.service.recording.delivery.queues import Queue
from modelyard.service.recording.options import RecordingOptions
from modelyard.service.recording.process import parts, writer
from modelyard.service.recording.process.images import is_chosen
from modelyard.service.recording.process.writer import Writer
from tflite_models import digit_bundle, draw_band, encode
from waiting import wait_until

FILE = encode(draw_band(3))
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> ServedVersion:
    return ServedVersion("mnist", 1, Predictor(digit_bundle(tmp_path_factory.mktemp("served") / "mnist")))


def answer(served: ServedVersion, images: int = 1, time_us: int = 0) -> Answered:
    answered = Answered("an-id", time_us or time.time_ns() // 1000, served)
    served.predictor.predict([FILE] * images, observe=answered.keep)
    return answered


class Watched:
    """A writer in a thread, with its metrics and what it told; `start` is left to the test."""

    def __init__(self, place: Path, images: float = 0.0) -> None:
        registry = CollectorRegistry()
        self.place = place
        self.told = [Status()]
        self._registry = registry
        self._given, self.giving = Pipe(duplex=False)
        options = RecordingOptions(str(place), images)
        self._writer = Writer(options, self.told.append, RecordingCounters(registry))
        self._thread = threading.Thread(target=self._writer.run, args=[self._given], daemon=True)

    def offer(self, *answered: Answered, **message: Any) -> None:
        for packed in pack_requests(answered):
            send(self.giving, packed)
        if message:
            send(self.giving, Message(**message))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.giving.close()
        self._thread.join(20)

    def count(self, name: str, **labels: str) -> float:
        return self._registry.get_sample_value(f"modelyard_{name}_total", labels) or 0.0

    def count_rows(self) -> int:
        if not (self.place / "answers").exists():
            return 0
        return int(
            dataset.dataset(self.place / "answers", format="parquet", partitioning="hive").count_rows()
        )


def test_a_part_is_written_after_its_time_and_the_last_one_at_the_stop(
    served: ServedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path)
    watched.start()
    watched.offer(answer(served))
    time.sleep(0.5)
    assert watched.count_rows() == 0
    monkeypatch.setattr(parts, "PART_S", 0.1)
    wait_until(lambda: watched.count_rows() == 1)
    monkeypatch.setattr(parts, "PART_S", 60.0)
    watched.offer(answer(served, 2))
    watched.stop()
    assert watched.count_rows() == watched.count("recorded", kind="answer") == 3


def test_rows_wait_for_a_place_that_comes_back_and_none_is_lost_or_written_twice(
    served: ServedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST_PAUSE_S", 0.2)
    monkeypatch.setattr(parts, "PART_S", 0.1)
    place = tmp_path / "place"
    place.write_text("in the way")
    watched = Watched(place)
    watched.start()
    watched.offer(answer(served))
    wait_until(lambda: watched.told[-1].problem)
    assert watched.told[-1].problem == (
        "the record cannot be written (Not a directory); answers are not affected"
    )
    watched.offer(answer(served, 2))
    place.unlink()
    wait_until(lambda: watched.count_rows() == 3)
    wait_until(lambda: not watched.told[-1].problem)
    watched.stop()
    assert watched.count_rows() == 3


def test_a_place_that_stays_away_costs_the_rows_that_do_not_fit_in_memory_and_they_are_counted(
    served: ServedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_S", 0.0)
    monkeypatch.setattr(parts, "MOST_ROWS", 10)
    (tmp_path / "answers").write_text("in the way")
    watched = Watched(tmp_path)
    watched.start()
    for _ in range(4):
        watched.offer(answer(served, 4))
    wait_until(lambda: watched.count("record_dropped", kind="answer", reason="place") == 6)
    wait_until(lambda: watched.told[-1].is_full)
    watched.stop()
    assert watched.count("record_dropped", kind="answer", reason="place") == 16
    assert watched.count("recorded", kind="answer") == 0


def test_pictures_that_a_stop_does_not_wait_for_are_counted_and_told(
    served: ServedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "LAST_IMAGES_S", 0.0)
    monkeypatch.setattr(writer, "IMAGES_S", 0.0)
    watched = Watched(tmp_path, images=1.0)
    watched.offer(answer(served))
    watched.start()
    watched.stop()
    wait_until(lambda: watched.count("record_dropped", kind="image", reason="place") == 1)
    assert "1 pictures were not written before the stop" in caplog.text


def test_pictures_wait_for_a_place_that_comes_back_and_one_that_cannot_be_written_holds_up_no_other(
    served: ServedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST_PAUSE_S", 0.1)
    shown = [encode(draw_band(digit)) for digit in (3, 4)]
    digests = [hashlib.sha256(file).hexdigest() for file in shown]
    in_the_way = tmp_path / "images" / "model=mnist" / digests[0][:2]
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("a file where a folder is due")
    watched = Watched(tmp_path, images=1.0)
    watched.start()
    answered = Answered("an-id", time.time_ns() // 1000, served)
    served.predictor.predict(shown, observe=answered.keep)
    watched.offer(answered)
    wait_until(lambda: watched.count("recorded", kind="image") == 1)
    in_the_way.unlink()
    wait_until(lambda: watched.count("recorded", kind="image") == 2)
    watched.stop()
    assert {path.stem for path in tmp_path.rglob("*.png")} == set(digests)


def test_a_clock_that_jumps_over_midnight_and_back_leaves_each_row_in_its_own_day(
    served: ServedVersion, tmp_path: Path
) -> None:
    watched = Watched(tmp_path)
    for days in (20_000, 20_001, 19_999, 20_000):
        watched.offer(answer(served, time_us=days * DAY_US + 1))
    watched.start()
    watched.stop()
    found = {path.parent.name for path in tmp_path.glob("answers/*/*/*")}
    assert found == {"day=2024-10-03", "day=2024-10-04", "day=2024-10-05"}
    assert watched.count_rows() == 4


def test_a_request_that_cannot_be_made_rows_is_counted_and_the_next_is_recorded(
    served: ServedVersion, tmp_path: Path
) -> None:
    watched = Watched(tmp_path)
    watched.start()
    broken = answer(served)
    broken.seen[0] = broken.seen[0]._replace(image=b"no picture at all")
    watched.offer(broken)
    wait_until(lambda: watched.count("record_dropped", kind="answer", reason="failed") == 1)
    watched.offer(answer(served))
    watched.stop()
    assert watched.count_rows() == 1


def test_what_pyarrow_imports_for_a_part_is_there_before_the_first_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Any, ...]] = []
    monkeypatch.setattr(writing, "_encode", lambda *arguments: made.append(arguments))
    watched = Watched(tmp_path)
    watched.start()
    wait_until(lambda: made)
    watched.stop()
    assert made == [(ANSWERS, [])]


def test_the_share_of_pictures_is_chosen_by_their_digests(served: ServedVersion, tmp_path: Path) -> None:
    digests = [f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" for number in range(10_000)]
    chosen = {digest for digest in digests if is_chosen(digest, 0.1)}
    assert 900 < len(chosen) < 1100
    assert chosen < {digest for digest in digests if is_chosen(digest, 0.2)}
    assert all(is_chosen(digest, 1.0) and not is_chosen(digest, 0.0) for digest in digests)
    assert is_chosen("f" * 64, 1.0)


def test_half_a_message_of_a_killed_service_costs_no_other_row(served: ServedVersion, tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.offer(answer(served))
    # The length of a message, as multiprocessing writes it, and less than that.
    os.write(watched.giving.fileno(), struct.pack("!i", 100_000) + bytes(1000))
    watched.start()
    watched.stop()
    assert watched.count_rows() == 1


def test_what_the_service_could_not_hand_over_is_counted(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.offer(dropped=Drops({("answer", "queue_full"): 3, ("label", "failed"): 1}))
    watched.start()
    watched.stop()
    assert watched.count("record_dropped", kind="answer", reason="queue_full") == 3
    assert watched.told[-1].settled == {"answer": 3, "label": 1}


def test_images_are_handed_over_by_their_version_and_in_pieces(
    served: ServedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ServedVersion("mnist", 2, served.predictor)
    monkeypatch.setattr(packing, "PACKED_BYTES", 2 * (28 * 28 * 4 + 10 * 4 + len(FILE)))
    made = deliver(answer(served, 3), answer(other, 1), answer(other, 1), Answered())
    assert [(batch.version.number, len(batch.images)) for batch in made] == [(1, 2), (1, 1), (2, 2)]
    for batch in made:
        assert batch.inputs.shape == (len(batch.images), 28, 28, 1)
        assert batch.scores.shape == (len(batch.images), 10)
        assert np.array_equal(batch.inputs[0], served.predictor.preprocess(FILE))


def test_labels_beyond_the_bound_are_counted_together() -> None:
    registry = CollectorRegistry()
    counters = RecordingCounters(registry)
    counters.count_answers("many", "1", [(str(label), 0.5) for label in range(MOST_LABELS + 50)])
    text = generate_latest(registry).decode()
    assert f'modelyard_answers_total{{label="{OTHER}",model="many",version="1"}} 50.0' in text
    assert text.count("modelyard_answers_total{") == MOST_LABELS + 1


def test_a_queue_refuses_what_does_not_fit_by_rows_or_by_bytes() -> None:
    queue: Queue[str] = Queue(3, 100)
    assert [
        queue.put(name, rows, size) for name, rows, size in [("a", 2, 10), ("b", 2, 10), ("c", 1, 91)]
    ] == [
        True,
        False,
        False,
    ]
    assert queue.put("d", 1, 90)
    assert (queue.take(1), queue.take(9), queue.take(9)) == (["a"], ["d"], [])
    assert queue.put("e", 3, 100)


def test_labels_are_written_beside_the_answers(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    row = (20_000 * DAY_US, "an-id", 0, "1", "", "3", "feedback")
    watched.offer(labels=(("mnist", row),))
    watched.start()
    watched.stop()
    [found] = (
        dataset.dataset(tmp_path / "labels", format="parquet", partitioning="hive").to_table().to_pylist()
    )
    assert [found[name] for name in LABELS.columns][1:] == list(row[1:])
    assert (found["model"], found["day"]) == ("mnist", "2024-10-04")
