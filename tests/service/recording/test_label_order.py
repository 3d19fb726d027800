"""Times of labels where the clock jumps."""

import time

import pytest

from modelyard.service.recording.ids import label_order
from modelyard.service.recording.ids.label_order import LabelOrder


def test_a_clock_that_jumps_back_leaves_the_labels_of_an_image_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = LabelOrder()
    for now_us, request_id, index, expected in (
        (5_000, "a", 0, 5_000),
        (1_000, "a", 0, 5_001),
        (1_000, "a", 0, 5_002),
        # Another image has a time of its own.
        (1_000, "a", 1, 1_000),
        (1_000, "b", 0, 1_000),
        (9_000, "a", 0, 9_000),
        # A label from so far in the future is not read before its time; this one must not wait for it.
        (10**12, "a", 0, 10**12),
        (10_000, "a", 0, 10_000),
    ):
        monkeypatch.setattr(time, "time_ns", lambda now_us=now_us: now_us * 1000)
        assert times.choose(request_id, index) == expected


def test_only_the_latest_labelled_images_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_order, "MOST_REMEMBERED", 2)
    times = LabelOrder()
    monkeypatch.setattr(time, "time_ns", lambda: 5_000_000)
    for request_id in ("first", "second", "first", "third"):
        times.choose(request_id, 0)
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000)
    assert [times.choose(one, 0) for one in ("first", "third", "second")] == [5_002, 5_001, 1_000]
