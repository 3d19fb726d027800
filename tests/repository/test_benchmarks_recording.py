"""The benchmark of the record: its arithmetic, its pictures, and one run over a small registry."""

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.command import RESULTS, SCRATCH, choose_results
from benchmarks.recording.__main__ import is_full, main, read_options
from benchmarks.recording.counting import Count, Told, count_rows
from benchmarks.recording.modes import AGAIN, OFF, ON, PICTURES, SHADOW, TITLES, find_versions, launch_modes
from benchmarks.recording.summary import judge, list_counts, list_loads, summarise
from benchmarks.report import Goal
from live_answers import home_writers, make_rows, record
from modelyard.errors import ModelyardError
from modelyard.images.pictures import PixelPictures, write_pictures
from modelyard.monitoring.tables.places import open_place
from small_registry import SmallRegistry
from tflite_models import digit_bundle, digit_model, draw_band, encode

PEAK_MB = dict.fromkeys(TITLES, 80.0)


def load(mode: str, round_: int, p50_ms: float, p99_ms: float = 1.0, connections: int = 1) -> dict[str, Any]:
    measured = {"requests": 100, "requests_per_s": 1000 / p50_ms, "p50_ms": p50_ms, "p99_ms": p99_ms}
    return {"mode": mode, "connections": connections, "round": round_, **measured}


def test_each_round_is_compared_with_the_one_without_a_record_beside_it() -> None:
    # The second round was slow for both.
    records = [load(ON, 0, 1.1), load(OFF, 0, 1.0), load(OFF, 1, 5.0), load(ON, 1, 5.0)]
    records += [load(OFF, 2, 2.0), load(ON, 2, 3.0)]
    off, on = summarise(records, PEAK_MB).itertuples()
    assert (off.mode, on.mode, on.rounds, on.requests) == (OFF, ON, 3, 300)
    assert (on.p50_ms, on.p50_ms_least, on.p50_ms_most) == (3.0, 1.1, 5.0)
    assert (off.p50_ms_of_off, on.p50_ms_of_off) == (1.0, pytest.approx(1.1))
    [head, _, line] = list_loads(summarise(records, PEAK_MB))
    assert dict(zip(head, line, strict=True))["record"] == "on"
    assert line[4:6] == ["3.00", "1.10..5.00"]


def test_the_goals_are_a_twentieth_more_and_no_row_less() -> None:
    records = [load(OFF, 0, 1.0), load(ON, 0, 1.05), load(PICTURES, 0, 1.06), load(SHADOW, 0, 9.0, 1.06)]
    counts = [Count(ON, "answer", 10, 2, rows) for rows in (8, 7, 9)]
    goals = judge(summarise(records, PEAK_MB), counts)
    assert [goal.holds for goal in goals] == [True, False, False, True, False, False]
    subject = "on, all pictures kept, p50 over 1 connection"
    assert goals[1] == Goal(subject, "at most 1.05 of off", "1.060", False)
    assert goals[2] == Goal("on, with a shadow, p99 over 1 connection", "at most 1.05 of on", "1.060", False)
    assert [line[-1] for line in list_counts(counts)] == ["missing", "0", "1", "-1"]


def test_a_shadow_is_compared_with_the_record_alone_and_both_with_none() -> None:
    records = [load(OFF, 0, 1.0, 1.0), load(ON, 0, 1.0, 2.0), load(SHADOW, 0, 1.0, 2.1)]
    frame = summarise(records, PEAK_MB)
    shadow = frame[frame["mode"] == SHADOW].iloc[0]
    assert (shadow["p99_ms_of_off"], shadow["p99_ms_of_on"]) == (2.1, pytest.approx(1.05))
    [goal] = judge(frame[frame["mode"] == SHADOW], [])
    assert goal.holds


def test_rows_are_counted_by_their_role(tmp_path: Path) -> None:
    place, answered = open_place(str(tmp_path)), home_writers().take(np.arange(30))
    record(place, make_rows(answered))
    record(place, make_rows(answered.take(np.arange(20)), role="shadow"))
    told = Told(32, Counter({"answer": 2, "shadow": 11, "image": 5}), 0)
    answers, shadows = count_rows(SHADOW, told, tmp_path, has_shadow=True)
    assert (answers.rows, answers.missing, shadows.rows, shadows.missing) == (30, 0, 20, 1)


def test_only_a_full_run_replaces_the_committed_figures() -> None:
    given = read_options([])
    assert choose_results(given, is_full(given)) == RESULTS
    for shorter in (["--rounds", "2"], ["--requests", "10"]):
        given = read_options(shorter)
        assert choose_results(given, is_full(given)) == SCRATCH / "results"


def test_all_modes_answer_the_same_and_differ_in_what_they_record(tmp_path: Path) -> None:
    launches = launch_modes("sqlite:///registry.db", tmp_path)
    added = {mode: launch.command[launch.command.index("--copy") + 2 :] for mode, launch in launches.items()}
    assert added.pop(OFF) == added.pop(AGAIN) == ()
    assert {mode: options[2:] for mode, options in added.items()} == {
        ON: (),
        PICTURES: ("--record-images", "1.0"),
        SHADOW: ("--shadow", "challenger"),
    }
    assert len({options[1] for options in added.values()}) == 3


@pytest.fixture
def registry(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallRegistry:
    found = SmallRegistry(tmp_path / "registry")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", found.uri)
    for digit, bias in enumerate((5.0, 10.0)):
        found.add_bundle(digit_bundle(tmp_path / f"bundle-{digit}", digit_model(bias)))
    found.point(1)
    levels = np.stack([draw_band(digit % 10) for digit in range(50)])
    pictures = PixelPictures((np.arange(50) % 10).astype(np.uint8), tuple("0123456789"), levels)
    write_pictures(repository / "data/train.npz", pictures)
    (repository / "data/samples").mkdir()
    (repository / "data/samples/03-label-3.png").write_bytes(encode(draw_band(3)))
    return found


def test_a_registry_without_a_challenger_is_told_how_to_get_one(registry: SmallRegistry) -> None:
    with pytest.raises(ModelyardError, match="a challenger beside it: `make repro` makes the first"):
        find_versions(registry.uri)
    registry.point(2, "challenger")
    assert find_versions(registry.uri) == "mnist 1, its shadow 2"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_a_short_run_loads_all_modes_and_finds_every_answer_in_the_tables(
    registry: SmallRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.point(2, "challenger")
    options = ["--rounds", "1", "--requests", "10", "--results", str(tmp_path / "results")]
    assert main(options) == 0
    page = (tmp_path / "results" / "recording.md").read_text()
    line = r"^\| (on.*): (answer|shadow) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| 0 \|$"
    rows = re.findall(line, page, re.MULTILINE)
    names = ["on", "on, all pictures kept", *["on, with a shadow"] * 2]
    assert [name for name, *_ in rows] == names
    for _, role, *numbers in rows:
        answered, dropped, found = (int(number.replace(",", "")) for number in numbers)
        assert answered == dropped + found > 0
        # A busy machine leaves no time for a shadow.
        assert role == "shadow" or dropped == 0
    # Ten different files were sent in turn, and the sample first.
    assert "## Rows (11 pictures kept, 0 dropped)" in page
