"""The benchmark's own arithmetic and its files; what it starts is measured by `make bench`."""

import argparse
import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.serving.__main__ import RESULTS, SCRATCH, choose_results, make_parser
from benchmarks.serving.environments import PEERS
from benchmarks.serving.goals import Goal, judge
from benchmarks.serving.load import Load, choose_seconds, find_wrk, parse_load
from benchmarks.serving.measurements import Growth, Measurement, Ready, Row, Spread, Start, summarise
from benchmarks.serving.memory import Memory
from benchmarks.serving.picture import plot_rows
from benchmarks.serving.questions import JSON, Question, Subject, write_photo
from benchmarks.serving.report import Report
from benchmarks.serving.servers import DOOR_1, DOOR_2, INSTALLED_APART, LITSERVE, STOCK, TITLES
from modelyard.errors import ModelyardError

TOLD = {
    "requests": 6000,
    "duration_us": 2_000_000,
    "p50_us": 310,
    "p99_us": 1250,
    "failed": {"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0},
}
TABLE = "Running 2s test @ http://127.0.0.1:1\n  1 threads and 1 connections\nRequests/sec:   3000.00\n"
MODEL_TITLES = {"mnist": "digits", "inception": "photos"}


def output(**changes: object) -> str:
    return TABLE + "\n" + json.dumps({**TOLD, **changes}) + "\n"


def rows_of(*rates: tuple[str, str, int, float]) -> list[Row]:
    """Rows of one round; a request takes a thousandth of its connections over the rate, as p50."""
    measurements = [
        Measurement(server, model, connections, Load(round(rate * 10), 10.0, 1e3 * connections / rate, 9.0))
        for server, model, connections, rate in rates
    ]
    starts = [Start(server, model, 1.5, Memory(300.0, 290.0, 1)) for server, model, _, _ in rates]
    return summarise(measurements, starts)


def holds(goals: list[Goal], subject: str, asked: str) -> bool:
    (goal,) = [goal for goal in goals if goal.subject == subject and goal.asked.startswith(asked)]
    return goal.holds


def test_the_line_of_wrks_script_is_read_in_seconds_and_milliseconds() -> None:
    load = parse_load(output())
    assert load == Load(requests=6000, seconds=2.0, p50_ms=0.31, p99_ms=1.25)
    assert load.requests_per_s == 3000


@pytest.mark.parametrize("kind", ["connect", "read", "write", "status", "timeout"])
def test_a_single_error_fails_the_measurement_and_is_named(kind: str) -> None:
    with pytest.raises(ModelyardError, match=f"errors beside 6000 answers: 1 x {kind}"):
        parse_load(output(failed={**TOLD["failed"], kind: 1}))  # type: ignore[dict-item]


def test_a_load_without_one_answer_fails() -> None:
    with pytest.raises(ModelyardError, match=r"not one answer in 2\.0 s"):
        parse_load(output(requests=0))


def test_output_without_the_line_is_shown() -> None:
    with pytest.raises(ModelyardError, match=r"expected a line of JSON from wrk.*unable to connect"):
        parse_load("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_a_missing_wrk_is_told_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ModelyardError, match="apt-get install wrk"):
        find_wrk()


def test_a_slow_server_is_measured_for_longer_but_not_for_ever() -> None:
    assert choose_seconds(5, 0.001, 32) == 5
    assert choose_seconds(5, 1.0, 1) == 8
    assert choose_seconds(5, 1.0, 8) == 12
    assert choose_seconds(5, 1.0, 32) == 40
    assert choose_seconds(1, 1.0, 32) == 10


def test_a_spread_is_the_median_between_the_extremes() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert Spread.of([1.0, 2.0]).median == 1.5
    with pytest.raises(ValueError, match="at least one round"):
        Spread.of([])


def test_rounds_of_the_same_load_become_one_row() -> None:
    loads = [Load(requests, 2.0, p50, 9.0) for requests, p50 in ((100, 1.0), (300, 3.0), (200, 2.0))]
    measurements = [Measurement(DOOR_2, "mnist", 8, load) for load in loads]
    measurements.append(Measurement(DOOR_2, "mnist", 1, loads[0]))
    starts = [
        Start(DOOR_2, "mnist", seconds, Memory(rss, rss - 10, 1))
        for seconds, rss in ((1, 200), (2, 220), (9, 210))
    ]
    starts.append(Start(DOOR_2, "inception", 99.0, Memory(999.0, 999.0, 9)))
    eight, one = summarise(measurements, starts)
    assert (eight.connections, eight.rounds, eight.requests) == (8, 3, 600)
    assert eight.requests_per_s == Spread(100.0, 50.0, 150.0)
    assert eight.p50_ms == Spread(2.0, 1.0, 3.0)
    assert eight.first_answer_s == Spread(2, 1, 9)
    assert eight.pss_mb == Spread(200, 190, 210)
    assert (one.connections, one.rounds, one.processes) == (1, 1, 1)


def test_goals_compare_medians_of_the_same_run() -> None:
    rows = rows_of(
        (STOCK, "mnist", 1, 50),
        (STOCK, "inception", 8, 1),
        (LITSERVE, "mnist", 8, 1001),
        (DOOR_1, "mnist", 1, 1000),
        (DOOR_2, "mnist", 1, 2000),
        (DOOR_2, "mnist", 8, 3000),
        (DOOR_2, "inception", 8, 39),
    )
    goals = judge(rows, [], None)
    assert holds(goals, "door 2, mnist, 1 connection", "at least 2,000/s")
    assert holds(goals, "door 2, mnist, 1 connection", "p50")
    assert holds(goals, "door 2, mnist, 8 connections", "at least 3,000/s")
    assert not holds(goals, "door 2, mnist, 8 connections", "at least 3 x LitServe")
    assert not holds(goals, "door 2, inception, 8 connections", "at least 40 x")
    assert holds(goals, "door 1, mnist, 1 connection", "at least 20 x")


def test_goals_whose_servers_were_not_measured_are_left_out() -> None:
    assert judge([], [], None) == []
    goals = judge(rows_of((DOOR_2, "mnist", 8, 9999)), [], None)
    assert [goal.asked for goal in goals] == ["at least 3,000/s"]


def test_readiness_and_memory_are_judged_at_their_limits() -> None:
    def growth(after_mb: float) -> Growth:
        return Growth(10_000, Memory(100.0, 90.0, 1), 200_000, Memory(after_mb, 90.0, 1))

    ready = [Ready(2.0, 1.0), Ready(1.9, 1.0), Ready(2.5, 1.0)]
    goals = judge([], ready, growth(105.0))
    assert [goal.holds for goal in goals] == [False, True, True]
    assert not judge([], [], growth(106.0))[0].holds
    assert not judge([], [], growth(94.0))[0].holds
    assert judge([], [], growth(106.0))[0].measured == "+6.0% (100.0 to 106.0 MB)"


def test_an_answer_with_another_label_is_refused(tmp_path: Path) -> None:
    question = Question("/predict", JSON, tmp_path / "body", "3", lambda answer: str(answer["label"]))
    question.check(b'{"label": "3"}')
    with pytest.raises(ModelyardError, match="expected the label '3', got '8'"):
        question.check(b'{"label": "8"}')
    for content in (b'{"error": "3"}', b"[]", b"<html>3</html>"):
        with pytest.raises(ModelyardError, match="expected the label '3', got b"):
            question.check(content)


def test_the_stock_flavor_is_sent_the_same_pixels_as_numbers(tmp_path: Path) -> None:
    pixels = np.arange(28 * 28, dtype=np.uint8).reshape(28, 28)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    about = {"shape": [28, 28, 1], "mean": 0.0, "scale": 1 / 255, "labels": list("0123456789")}
    (tmp_path / "network.json").write_text(json.dumps(about))
    subject = Subject(
        "digits", "mnist", tmp_path / "image.png", "image/png", "3", tmp_path, "sqlite:///x", "models:/m-1"
    )
    question = subject.ask_with_numbers("/invocations")
    (numbers,) = json.loads(question.body.read_bytes())["instances"]
    np.testing.assert_allclose(np.array(numbers)[:, :, 0] * 255, pixels, atol=2e-4)
    question.check(b'{"predictions": [[0, 0, 0.1, 0.9, 0, 0, 0, 0, 0, 0]]}')
    with pytest.raises(ModelyardError, match="got '2'"):
        question.check(b'{"predictions": [[0, 0, 0.9, 0.1, 0, 0, 0, 0, 0, 0]]}')


def test_the_photo_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    Image.new("RGB", (100, 70), "green").save(tmp_path / "small.png")
    write_photo(tmp_path / "small.png", tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as photo:
        assert (photo.format, photo.size) == ("JPEG", (640, 480))


def test_the_csv_has_every_row_with_its_spreads_and_the_machine(tmp_path: Path) -> None:
    rows = rows_of((STOCK, "mnist", 1, 12.5), (DOOR_2, "mnist", 8, 12_345.6))
    Report("2 cores, a date", MODEL_TITLES, rows, []).write_csv(tmp_path / "serving.csv")
    with (tmp_path / "serving.csv").open() as file:
        stock, door = csv.DictReader(file)
    assert (stock["server"], stock["connections"], stock["requests_per_s"]) == (STOCK, "1", "12.500")
    assert float(door["requests_per_s_least"]) == float(door["requests_per_s_most"]) == 12_345.6
    assert door["about"] == "2 cores, a date"


def test_the_tables_show_servers_in_order_and_what_does_not_hold() -> None:
    rows = rows_of((DOOR_2, "mnist", 8, 3612.4), (STOCK, "mnist", 8, 14.2), (STOCK, "mnist", 1, 11.1))
    report = Report("here", MODEL_TITLES, rows, [Goal("memory", "under 1", "2", False)])
    text = report.to_text()
    assert [line.split()[-8] for line in text.splitlines() if TITLES[STOCK] in line] == ["1", "8"]
    assert text.index(TITLES[STOCK]) < text.index(TITLES[DOOR_2])
    assert re.search(r"memory +under 1 +2 +NO", text)
    assert "photos" not in text
    assert "| memory | under 1 | 2 | NO |" in report.to_markdown("serving.png")


def test_the_picture_grows_with_the_servers_and_shows_the_doors_in_blue(tmp_path: Path) -> None:
    rows = rows_of((STOCK, "mnist", 1, 11), (DOOR_2, "mnist", 1, 2222), (DOOR_2, "inception", 1, 40))
    heights = []
    for own in (rows[:1], rows):
        plot_rows(tmp_path / "serving.png", own, MODEL_TITLES)
        with Image.open(tmp_path / "serving.png") as drawn:
            pixels = np.asarray(drawn.convert("RGB"))
        heights.append(pixels.shape[0])
    assert heights[1] > 1.5 * heights[0]
    assert (pixels == [0x00, 0x72, 0xB2]).all(axis=2).sum() > 300


def test_only_a_full_run_replaces_the_committed_figures(tmp_path: Path) -> None:
    def parse(*arguments: str) -> argparse.Namespace:
        return make_parser().parse_args(arguments)

    assert choose_results(parse()) == RESULTS
    shorter = (["--seconds", "1"], ["--rounds", "2"], ["--requests", "10"], ["--models", "mnist"])
    for arguments in (*shorter, ["--servers", DOOR_2]):
        assert choose_results(parse(*arguments)) == SCRATCH / "results"
    assert choose_results(parse("--rounds", "1", "--results", str(tmp_path))) == tmp_path


def test_every_peer_with_an_environment_is_pinned_with_hashes() -> None:
    for name in INSTALLED_APART:
        lines = (PEERS / f"{name}.txt").read_text().splitlines()
        pins = [line for line in lines if not line.startswith(" ")]
        assert any(line.startswith(f"{name}==") for line in pins)
        assert all(re.match(r"[\w.\[\]-]+==\S+.*\\$", line) for line in pins)
        assert sum("--hash=sha256:" in line for line in lines) >= len(pins)
