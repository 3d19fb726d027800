"""The benchmark's own arithmetic and its files; what it starts is measured by `make bench`."""

import csv
import functools
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

from benchmarks.command import RESULTS, SCRATCH, choose_results, describe_machine
from benchmarks.report import Frame, Goal, Report, list_goals
from benchmarks.serving import processes
from benchmarks.serving.__main__ import is_full, read_options
from benchmarks.serving.goals import judge
from benchmarks.serving.load import Load, choose_seconds, find_wrk, parse_load
from benchmarks.serving.networks import write_photo
from benchmarks.serving.picture import plot_rows
from benchmarks.serving.processes import POLL_S, PORT, Launch, start
from benchmarks.serving.questions import JSON, Question, Subject
from benchmarks.serving.rounds import Growth, Ready
from benchmarks.serving.servers import (
    INSTALLED_APART,
    LITSERVE,
    MLFLOW_MODELYARD,
    MLFLOW_TENSORFLOW,
    MODELYARD,
    PEERS,
    TITLES,
    launch_modelyard,
    list_launches,
    read_version,
)
from benchmarks.serving.summary import list_rates, summarise
from conftest import ROOT
from modelyard.errors import ModelyardError
from picture_texts import watch_texts

TOLD = {
    "requests": 6000,
    "duration_us": 2_000_000,
    "p50_us": 310,
    "p99_us": 1250,
    "failed": {"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0},
}
TABLE = "Running 2s test @ http://127.0.0.1:1\n  1 threads and 1 connections\nRequests/sec:   3000.00\n"
# Answers with 503 twice before it is ready, and has a child that ignores SIGTERM.
SERVER = """
import http.server, signal, subprocess, sys

script = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(999)"
child = subprocess.Popen([sys.executable, "-c", script])
left = 2

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        global left
        left -= 1
        self.rfile.read(int(self.headers["Content-Length"]))
        status = {"/missing": 404, "/busy": 503}.get(self.path, 503 if left >= 0 else 200)
        self.answer(status, b'{"label": "3"}')

    def do_GET(self):
        self.answer(200, str(child.pid).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
MODEL_TITLES = {"mnist": "digits", "inception": "photos"}


def output(**changes: object) -> str:
    return TABLE + "\n" + json.dumps({**TOLD, **changes}) + "\n"


def record(server: str, model: str, connections: int, rate: float, **changes: float) -> dict[str, Any]:
    """A load of ten seconds; p50 is what a request takes at this rate."""
    load = {
        "requests": round(rate * 10),
        "requests_per_s": rate,
        "p50_ms": 1e3 * connections / rate,
        "p99_ms": 9.0,
    }
    costs = {"first_answer_s": 1.5, "rss_mb": 300.0, "pss_mb": 290.0, "processes": 1}
    return {"model": model, "server": server, "connections": connections, **load, **costs, **changes}


def rows_of(*rates: tuple[str, str, int, float]) -> Frame:
    return summarise([record(*rate) for rate in rates])


def holds(goals: list[Goal], subject: str, asked: str) -> bool:
    (goal,) = [goal for goal in goals if goal.subject == subject and goal.asked.startswith(asked)]
    return goal.holds


def test_the_line_of_wrks_script_is_read_in_seconds_and_milliseconds() -> None:
    load = parse_load(output())
    assert load == Load(requests=6000, requests_per_s=3000.0, p50_ms=0.31, p99_ms=1.25)


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


def test_a_slow_server_is_measured_for_longer_and_left_out_where_answers_would_take_a_minute() -> None:
    assert choose_seconds(5, 0.001, 32) == 5
    assert choose_seconds(5, 1.0, 1) == 10
    assert choose_seconds(1, 1.25, 8) == 20
    assert choose_seconds(5, 1.25, 32) is None


def test_rounds_of_the_same_load_become_one_row_with_medians_between_extremes() -> None:
    rounds = [(100.0, 1.0, 200.0), (300.0, 2.0, 220.0), (150.0, 9.0, 210.0)]
    records = [
        record(MODELYARD, "mnist", 8, rate, first_answer_s=first_s, rss_mb=rss_mb, pss_mb=rss_mb - 10)
        for rate, first_s, rss_mb in rounds
    ]
    others = [record(MODELYARD, "mnist", 1, 100.0), record(MODELYARD, "inception", 8, 9.0, rss_mb=999.0)]
    eight, one, photos = summarise([records[0], *others, *records[1:]]).itertuples()
    assert (eight.connections, eight.rounds, eight.requests) == (8, 3, 5500)
    assert (eight.requests_per_s, eight.requests_per_s_least, eight.requests_per_s_most) == (150, 100, 300)
    assert (eight.first_answer_s, eight.first_answer_s_least, eight.first_answer_s_most) == (2, 1, 9)
    assert (eight.pss_mb, eight.pss_mb_least, eight.pss_mb_most) == (200, 190, 210)
    assert (one.connections, one.rounds, one.processes) == (1, 1, 1)
    assert (photos.model, photos.rss_mb) == ("inception", 999)


def test_goals_compare_medians_of_the_same_run() -> None:
    rows = rows_of(
        (MLFLOW_TENSORFLOW, "mnist", 1, 50),
        (MLFLOW_TENSORFLOW, "inception", 8, 1),
        (LITSERVE, "mnist", 8, 1001),
        (MLFLOW_MODELYARD, "mnist", 1, 1000),
        (MODELYARD, "mnist", 1, 2000),
        (MODELYARD, "mnist", 8, 3000),
        (MODELYARD, "inception", 8, 39),
    )
    goals = judge(rows, [], None)
    assert holds(goals, "modelyard serve, mnist, 1 connection", "at least 2,000/s")
    assert holds(goals, "modelyard serve, mnist, 1 connection", "median")
    assert holds(goals, "modelyard serve, mnist, 8 connections", "at least 3,000/s")
    assert not holds(goals, "modelyard serve, mnist, 8 connections", "at least 3 x LitServe")
    assert not holds(goals, "modelyard serve, inception, 8 connections", "at least 40 x")
    assert holds(goals, "mlflow models serve with our version, mnist, 1 connection", "at least 20 x")


def test_goals_whose_servers_were_not_measured_are_left_out() -> None:
    assert judge(rows_of((LITSERVE, "mnist", 1, 1.0)), [], None) == []
    goals = judge(rows_of((MODELYARD, "mnist", 8, 9999)), [], None)
    assert [goal.asked for goal in goals] == ["at least 3,000/s"]


def test_readiness_and_memory_are_judged_at_their_limits() -> None:
    def growth(after_mb: float) -> Growth:
        return [(10_000, 100.0), (200_000, after_mb)]

    ready = [Ready(2.0, 1.0), Ready(1.9, 1.0), Ready(2.5, 1.0)]
    none = rows_of((LITSERVE, "mnist", 1, 1.0))
    goals = judge(none, ready, growth(105.0))
    assert [goal.holds for goal in goals] == [False, True, True]
    assert not judge(none, [], growth(106.0))[0].holds
    assert not judge(none, [], growth(94.0))[0].holds
    assert judge(none, [], growth(106.0))[0].measured == "+6.0% (100.0 to 106.0 MB)"


def test_an_answer_with_another_label_is_refused(tmp_path: Path) -> None:
    question = Question("/predict", JSON, tmp_path / "body", "3", lambda answer: str(answer["label"]))
    question.check(b'{"label": "3"}', "a server")
    with pytest.raises(ModelyardError, match="a server: expected the label '3', got '8'"):
        question.check(b'{"label": "8"}', "a server")
    for content in (b'{"error": "3"}', b"[]", b"<html>3</html>"):
        with pytest.raises(ModelyardError, match="expected the label '3', got b"):
            question.check(content, "a server")


def subject_in(folder: Path) -> Subject:
    labels = list("0123456789")
    return Subject(
        folder, "digits", "mnist", "image.png", "3", labels, (28, 28, 1), 0.0, 1 / 255, "models:/m-1"
    )


def test_the_stock_flavor_is_sent_the_same_pixels_as_numbers(tmp_path: Path) -> None:
    pixels = np.arange(28 * 28, dtype=np.uint8).reshape(28, 28)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    subject = subject_in(tmp_path)
    question = subject.ask_with_numbers("/invocations")
    (numbers,) = json.loads(question.body.read_bytes())["instances"]
    np.testing.assert_allclose(np.array(numbers)[:, :, 0] * 255, pixels, atol=2e-4)
    question.check(b'{"predictions": [[0, 0, 0.1, 0.9, 0, 0, 0, 0, 0, 0]]}', "a server")
    with pytest.raises(ModelyardError, match="got '2'"):
        question.check(b'{"predictions": [[0, 0, 0.9, 0.1, 0, 0, 0, 0, 0, 0]]}', "a server")


def test_the_photo_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    Image.new("RGB", (100, 70), "green").save(tmp_path / "small.png")
    write_photo(tmp_path / "small.png", tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as photo:
        assert (photo.format, photo.size) == ("JPEG", (640, 480))


def report_of(rows: Frame, *goals: Goal) -> Report:
    tables = list_rates(rows, MODEL_TITLES) | list_goals(goals)
    plot = functools.partial(plot_rows, frame=rows, titles=MODEL_TITLES)
    return Report("serving", "Serving", "2 cores, a date", tables, rows, plot)


def test_the_csv_has_every_row_with_its_spreads_and_the_machine(tmp_path: Path) -> None:
    rows = rows_of((MLFLOW_TENSORFLOW, "mnist", 1, 12.5), (MODELYARD, "mnist", 8, 12_345.6))
    report_of(rows).write(tmp_path)
    with (tmp_path / "serving.csv").open() as file:
        stock, modelyard = csv.DictReader(file)
    assert (stock["server"], stock["connections"]) == (MLFLOW_TENSORFLOW, "1")
    assert stock["requests_per_s"] == "12.5000"
    assert float(modelyard["requests_per_s_least"]) == float(modelyard["requests_per_s_most"]) == 12_345.6
    assert modelyard["about"] == "2 cores, a date"
    assert {path.name for path in tmp_path.iterdir()} == {"serving.csv", "serving.md", "serving.png"}
    with (ROOT / RESULTS / "serving.csv").open() as committed:
        assert csv.DictReader(committed).fieldnames == list(stock)


def test_the_tables_show_servers_in_order_and_what_does_not_hold() -> None:
    first, second = MLFLOW_TENSORFLOW, MODELYARD
    rows = rows_of((second, "mnist", 8, 3612.4), (first, "mnist", 8, 14.2), (first, "mnist", 1, 11.1))
    report = report_of(rows, Goal("memory", "under 1", "2", False))
    text = report.to_text()
    assert [line.split()[-8] for line in text.splitlines() if TITLES[first] in line] == ["1", "8"]
    assert text.index(TITLES[first]) < text.index(TITLES[second])
    assert re.search(r"memory +under 1 +2 +NO", text)
    assert "photos" not in text
    assert "| memory | under 1 | 2 | NO |" in report.to_markdown()


def test_the_picture_grows_with_the_servers_and_shows_this_projects_in_blue(tmp_path: Path) -> None:
    rows = rows_of(
        (MLFLOW_TENSORFLOW, "mnist", 1, 11), (MODELYARD, "mnist", 1, 2222), (MODELYARD, "inception", 1, 40)
    )
    heights = []
    for own in (rows[:1], rows):
        plot_rows(tmp_path / "serving.png", own, MODEL_TITLES)
        with Image.open(tmp_path / "serving.png") as drawn:
            pixels = np.asarray(drawn.convert("RGB"))
        heights.append(pixels.shape[0])
    assert heights[1] > 1.5 * heights[0]
    assert (pixels == [0x00, 0x72, 0xB2]).all(axis=2).sum() > 300


def test_the_committed_figures_can_be_shown_and_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = pd.read_csv(ROOT / RESULTS / "serving.csv")
    report = report_of(committed, *judge(committed, [], None))
    texts = watch_texts(monkeypatch)
    plot_rows(tmp_path / "serving.png", committed, MODEL_TITLES)
    assert (tmp_path / "serving.png").stat().st_size > 10_000
    assert all(told in " ".join(texts) for told in ("(more is better)", "(less is better)"))
    page = (ROOT / RESULTS / "serving.md").read_text()
    rates = re.findall(r"^\| .*\| (?:1|8|32) \| (.*)$", page, re.MULTILINE)
    assert len(rates) == len(committed)
    assert all(line in report.to_markdown() for line in rates)


def test_only_a_full_run_replaces_the_committed_figures(tmp_path: Path) -> None:
    def choose(*arguments: str) -> Path:
        given = read_options(arguments)
        return choose_results(given, is_full(given))

    assert choose() == RESULTS
    shorter = (["--seconds", "1"], ["--rounds", "2"], ["--requests", "10"], ["--models", "mnist"])
    for arguments in (*shorter, ["--servers", MODELYARD]):
        assert choose(*arguments) == SCRATCH / "results"
    assert choose("--rounds", "1", "--results", str(tmp_path)) == tmp_path


def test_every_server_is_started_for_every_model_and_modelyard_serve_for_all(tmp_path: Path) -> None:
    Image.new("L", (28, 28)).save(tmp_path / "image.png")
    subjects = dict.fromkeys(("mnist", "inception"), subject_in(tmp_path))
    environments = {name: tmp_path / name / "bin" for name in INSTALLED_APART}
    launches = list_launches(list(TITLES), subjects, environments, "sqlite:///registry.db")
    assert len(launches) == 2 * (len(TITLES) - 1)
    assert all(PORT in launch.command for launch in launches)
    ours = launch_modelyard(subjects, "sqlite:///registry.db", tmp_path / "copy")
    assert list(ours.questions) == ["mnist", "inception"]


def launch_script(folder: Path, script: str) -> Launch:
    (folder / "body").write_bytes(b"an image")
    question = Question("/predict", JSON, folder / "body", "3", lambda answer: str(answer["label"]))
    return Launch("a-server", (sys.executable, "-c", script, PORT), {"mnist": question})


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_server_is_awaited_measured_and_stopped_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LONGEST_STOP_S", 0.2)
    monkeypatch.setattr(processes, "LONGEST_WORK_S", 20.0)
    launch = launch_script(tmp_path, SERVER)
    with start(launch, tmp_path / "logs") as running:
        seconds = running.await_answers()["mnist"]
        running.await_idleness()
        assert 0 < running.ask(launch.questions["mnist"]) < 60
        memory = running.measure_memory()
        pids = [running.process.pid, int(running.request("GET", "/child")[1])]
        assert all(map(is_alive, pids))
        question = launch.questions["mnist"]
        with pytest.raises(ModelyardError, match="got status 503"):
            running.ask(replace(question, path="/busy"))
        missing = replace(launch, questions={"mnist": replace(question, path="/missing")})
        with pytest.raises(ModelyardError, match="got status 404"):
            replace(running, launch=missing).await_answers()
    # Two answers with 503 came first.
    assert 2 * POLL_S < seconds < 60
    assert memory["processes"] == 2
    assert memory["rss_mb"] >= memory["pss_mb"] > 5
    assert not any(map(is_alive, pids))


def test_a_server_that_ends_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    launch = launch_script(tmp_path, "raise SystemExit('no such model')")
    expected = r"(?s)a-server-mnist: expected it to answer.*ended with code 1.*no such model"
    with start(launch, tmp_path / "logs") as running, pytest.raises(ModelyardError, match=expected):
        running.await_answers()


def test_the_machine_is_named_with_its_processor_and_versions() -> None:
    assert re.match(
        r"\d{4}-\d\d-\d\d; \d+ cores of .+, \d+ GiB; Python 3.*, numpy \d", describe_machine(["numpy"])
    )
    assert re.fullmatch(r"litserve \d+\.\d+\.\d+", read_version(LITSERVE))


def test_every_peer_with_an_environment_is_pinned_with_hashes() -> None:
    for name in INSTALLED_APART:
        lines = (PEERS / f"{name}.txt").read_text().splitlines()
        pins = [line for line in lines if not line.startswith(" ")]
        assert any(line.startswith(f"{name}==") for line in pins)
        assert all(re.match(r"[\w.\[\]-]+==\S+.*\\$", line) for line in pins)
        assert sum("--hash=sha256:" in line for line in lines) >= len(pins)
