"""`modelyard predict` answers many pictures into one file, and goes on where it was ended."""

import csv
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
from pyarrow import parquet

from modelyard.batch import prediction
from modelyard.batch.parts import find_parts, hold_parts
from modelyard.cli.main import main
from modelyard.inference.predictor import Predictor
from modelyard.registry.artifacts import fetch_bundle
from modelyard.registry.versions import find_version
from modelyard.tracking.store import open_store
from small_registry import SmallRegistry
from tflite_models import draw_band, encode

DIGITS = [encode(draw_band(digit)) for digit in range(10)]
COMMAND = [sys.executable, "-m", "modelyard.cli", "predict"]
# Ends every Python process that opens one of these files.
DEADLY = """
import os

opened = os.open

def open_and_die(path, *others, **options):
    if path in {names!r}:
        os.abort()
    return opened(path, *others, **options)

os.open = open_and_die
"""
BROKEN = b"\x89PNG\r\n\x1a\nbroken"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> SmallRegistry:
    registry = SmallRegistry(tmp_path_factory.mktemp("registry"))
    registry.point(registry.add(mark="a"))
    registry.add(mark="b")
    # Its bundle is gone.
    shutil.rmtree(registry.artifacts(registry.add(mark="c")))
    return registry


@pytest.fixture
def place(registry: SmallRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with 12 pictures: the second is broken, and the eleventh is no file."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "pictures" / "b", 10)
    Path("pictures/b/0001.png").write_bytes(BROKEN)
    Path("pictures/a b.png").write_bytes(DIGITS[9])
    os.mkfifo("pictures/b/9999.png")
    return tmp_path


def write_pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:04}.png").write_bytes(DIGITS[number % 10])


def predict(*words: str) -> int:
    return main(["predict", *words, "--workers", "1"])


def read(path: str) -> list[dict[str, Any]]:
    return list(parquet.read_table(path).to_pylist())


def test_every_picture_of_a_folder_is_a_row_in_order_with_the_predictors_answer_or_an_error(
    place: Path, registry: SmallRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "mnist@champion", "pictures", "--out", "answers.parquet", "--workers", "2"]) == 1
    rows = read("answers.parquet")
    names = [
        "pictures/a b.png",
        *(f"pictures/b/{number:04}.png" for number in range(10)),
        "pictures/b/9999.png",
    ]
    assert [row["path"] for row in rows] == names
    store = open_store()
    bundle = fetch_bundle(store, find_version(store.client, "mnist", "1"))
    expected = Predictor(bundle).predict([DIGITS[9], DIGITS[0], BROKEN, *DIGITS[2:], b""], on_error="return")
    for row, answer in zip(rows, expected, strict=True):
        if isinstance(answer, list):
            assert [row["label"], *row["next_labels"]] == [one["label"] for one in answer]
            assert np.allclose(
                [row["score"], *row["next_scores"]], [one["score"] for one in answer], atol=1e-7
            )
            assert row["error"] is None
        else:
            assert row["label"] is row["score"] is row["next_labels"] is row["next_scores"] is None
    assert rows[2]["error"] == "a truncated PNG"
    assert rows[11]["error"] == "not a regular file"
    metadata = parquet.read_schema("answers.parquet").metadata
    assert metadata[b"modelyard.table"] == b"predictions/1"
    assert metadata[b"modelyard.model"] + metadata[b"modelyard.version"] == b"mnist1"
    assert metadata[b"modelyard.digest"].decode() == bundle.content_key
    assert metadata[b"modelyard.finished"] >= metadata[b"modelyard.started"] > b"2026"
    said = capsys.readouterr()
    assert said.out == "answers.parquet: 12 pictures, answered by mnist version 1\n"
    assert said.err.splitlines()[-1] == (
        "modelyard: 2 of 12 pictures have no answer: the column `error` says why"
    )
    assert sorted(path.name for path in place.iterdir()) == ["answers.parquet", "pictures"]


def test_csv_and_json_lines_hold_the_same_rows_with_metadata_beside_them(place: Path) -> None:
    Path("list").write_text("pictures/a b.png\n\npictures/b/0001.png\npictures/b/none.png\n\0\n")
    for out in ("a.csv", "a.jsonl", "a.parquet"):
        assert predict("models:/mnist/2", "--files", "list", "--out", out) == 1
    [first, broken, missing, nameless] = read("a.parquet")
    assert (first["label"], first["next_labels"][3]) == ("9b", "3b")
    assert missing["error"] == "cannot be read: No such file or directory"
    assert nameless["error"] == "cannot be read: embedded null byte"
    lines = [json.loads(line) for line in Path("a.jsonl").read_text().splitlines()]
    assert [{**line, "score": None, "next_scores": None} for line in lines] == [
        {**row, "score": None, "next_scores": None} for row in (first, broken, missing, nameless)
    ]
    assert np.float32(lines[0]["score"]) == np.float32(first["score"])
    table = list(csv.DictReader(io.StringIO(Path("a.csv").read_text())))
    assert [row["path"] for row in table] == [
        "pictures/a b.png",
        "pictures/b/0001.png",
        "pictures/b/none.png",
        "\0",
    ]
    assert [row["label"] for row in table] == ["9b", "", "", ""]
    assert (table[0]["label_5"], float(table[0]["score"])) == ("3b", lines[0]["score"])
    assert [row["error"] for row in table] == ["", *(one["error"] for one in (broken, missing, nameless))]
    for out in ("a.csv", "a.jsonl"):
        about = json.loads(Path(f"{out}-metadata.json").read_text())
        assert (about["modelyard.version"], about["modelyard.errors"]) == ("2", "3")


def test_a_column_of_a_parquet_file_is_answered_in_row_order_under_the_names_of_another(place: Path) -> None:
    cells = [{"bytes": file, "path": None} for file in (*DIGITS, BROKEN)]
    table = pa.table({"picture": cells, "name": [f"n{number}" for number in range(11)]})
    parquet.write_table(table, "in.parquet", row_group_size=4)
    assert predict("mnist@1", "in.parquet", "--column", "picture", "--id", "name", "--out", "a.parquet") == 1
    rows = read("a.parquet")
    assert [row["id"] for row in rows] == table.column("name").to_pylist()
    assert [row["label"] for row in rows] == [*(f"{digit}a" for digit in range(10)), None]


def test_a_killed_run_goes_on_with_no_row_twice_and_none_missing_and_leaves_no_process(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(place / "many", 3000)
    words = [*COMMAND, "mnist@champion", "many", "--out", "many.jsonl", "--workers", "2"]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    parts = place / "many.jsonl.parts"
    wait_for_parts(parts, process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    assert not Path("many.jsonl").exists()
    # A power cut, too.
    os.truncate(min(parts.glob("*.rows")), 100)
    before = sum(part.pictures for part in find_parts(parts).values())
    assert 0 < before < 3000
    assert predict("mnist@champion", "many", "--out", "many.jsonl") == 0
    assert capsys.readouterr().err == f"predict: 3,000 pictures, {before:,} of them answered before\n"
    rows = [json.loads(line) for line in Path("many.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == [f"many/{number:04}.png" for number in range(3000)]
    assert [row["label"] for row in rows] == [f"{number % 10}a" for number in range(3000)]
    assert not parts.exists()


def test_a_run_that_was_begun_in_another_way_is_not_mixed_with_this_one(
    place: Path, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(prediction, "answer_chunks", stop)
        assert predict("mnist@champion", "pictures", "--out", "a.csv") == 130
    capsys.readouterr()
    assert predict("mnist@2", "pictures", "--out", "a.csv") == 2
    said = capsys.readouterr().err
    assert "a.csv.parts was started with version 1, now 2" in said
    assert said.endswith("repeat the first command, or remove the folder\n")
    Path("pictures/new.png").write_bytes(DIGITS[3])
    assert predict("mnist@1", "pictures", "--out", "a.csv") == 2
    assert "was started with pictures" in capsys.readouterr().err
    Path("pictures/new.png").unlink()
    assert predict("mnist@1", "pictures", "--out", "a.csv") == 1
    assert len(Path("a.csv").read_text().splitlines()) == 13


def test_two_processes_do_not_write_one_output(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with hold_parts(place / "a.csv"):
        assert predict("mnist@1", "pictures", "--out", str(place / "a.csv")) == 1
        assert "another process is writing it" in capsys.readouterr().err
    assert [path.name for path in place.iterdir()] == ["pictures"]


def test_a_worker_that_is_ended_from_outside_costs_no_answer(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(place / "many", 2000)

    def end_workers(pictures: int, before: int, finished: Any) -> None:
        next(finished)
        # Below the server that makes them.
        workers = [one for one in psutil.Process().children(recursive=True) if one.ppid() != os.getpid()]
        assert workers
        for worker in workers:
            worker.kill()
        list(finished)

    monkeypatch.setattr("modelyard.cli.commands.predict._watch", end_workers)
    assert predict("mnist@1", "many", "--out", "a.jsonl") == 0
    assert capsys.readouterr().err == ""
    rows = [json.loads(line) for line in Path("a.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == [f"many/{number:04}.png" for number in range(2000)]
    assert [row["label"] for row in rows] == [f"{number % 10}a" for number in range(2000)]


def test_a_picture_that_ends_its_process_is_a_row_with_an_error_and_the_run_goes_on(place: Path) -> None:
    write_pictures(place / "many", 1100)
    deadly = {"many/0007.png", "many/0008.png", "many/1099.png"}
    Path("deadly").mkdir()
    Path("deadly/sitecustomize.py").write_text(DEADLY.format(names=deadly))
    path = os.pathsep.join([str(place / "deadly"), *filter(None, sys.path)])
    words = [*COMMAND, "mnist@1", "many", "--out", "a.parquet", "--workers", "2"]
    ended = subprocess.run(
        words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300
    )
    said = "modelyard: 3 of 1,100 pictures have no answer: the column `error` says why"
    assert (ended.returncode, ended.stderr.splitlines()[1:]) == (1, [said])
    rows = read("a.parquet")
    assert {row["path"]: row["error"] for row in rows if row["error"]} == dict.fromkeys(
        deadly, "the process that read it died"
    )
    assert [row["label"] for row in rows] == [
        None if row["path"] in deadly else f"{number % 10}a" for number, row in enumerate(rows)
    ]


def test_on_a_full_disk_no_answer_is_lost_and_the_next_run_goes_on(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(place / "many", 1000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # More than one of the two parts takes, and less than both of them.
    resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, before[1]))
    try:
        assert predict("mnist@1", "many", "--out", "a.jsonl") == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert capsys.readouterr().err.splitlines()[1:] == [
        "modelyard: File too large: a.jsonl: make room, then run again"
    ]
    assert sorted(path.name for path in place.iterdir()) == ["a.jsonl.parts", "many", "pictures"]
    assert predict("mnist@1", "many", "--out", "a.jsonl") == 0
    assert "1,000 of them answered before" in capsys.readouterr().err
    assert len(Path("a.jsonl").read_text().splitlines()) == 1000


def test_control_c_ends_all_processes_without_a_word_and_the_next_run_goes_on(place: Path) -> None:
    write_pictures(place / "many", 5000)
    words = [*COMMAND, "mnist@1", "many", "--out", "a.jsonl", "--workers", "2"]
    process = subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests that run in a shell's background inherit that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for_parts(place / "a.jsonl.parts", process)
    children = psutil.Process(process.pid).children(recursive=True)
    # As a terminal sends it: to every process of the group.
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (130, "predict: 5,000 pictures\n")
    assert not psutil.wait_procs(children, timeout=60)[1]
    assert predict("mnist@1", "many", "--out", "a.jsonl") == 0
    rows = [json.loads(line) for line in Path("a.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == [f"many/{number:04}.png" for number in range(5000)]


def wait_for_parts(parts: Path, process: "subprocess.Popen[Any]") -> None:
    """Wait until a run has written two parts."""
    deadline = time.monotonic() + 120
    while len(list(parts.glob("*.rows"))) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def test_workers_that_cannot_even_start_end_the_run_with_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Fails in the worker, since it takes no arguments.
    monkeypatch.setattr("modelyard.batch.answering.begin", os.getpid)
    assert predict("mnist@1", "pictures", "--out", "a.csv") == 1
    assert "worker processes end before they are given a picture" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["mnist", "pictures", "--out", "a.csv"], 2, "expected NAME@VERSION, such as mnist@champion"),
        (["mnist@7", "pictures", "--out", "a.csv"], 2, "models:/mnist/7: "),
        (
            ["mnist@1", "pictures", "--out", "a.xlsx"],
            2,
            "--out: expected a file that ends in .parquet, .csv, ",
        ),
        (["mnist@1", "--out", "a.csv"], 2, "expected folders, pictures or a .parquet file, or else --files"),
        (
            ["mnist@1", "pictures", "--out", "torn.parquet/a.csv"],
            1,
            "torn.parquet/a.csv: it cannot be written: ",
        ),
        (
            ["mnist@1", "pictures", "--out", "empty.csv"],
            2,
            "--out: expected a file, got the folder empty.csv",
        ),
        (["mnist@3", "pictures", "--out", "a.csv"], 1, "models:/mnist/3: its artifacts cannot be fetched"),
        (["mnist@1", "empty", "--out", "a.csv"], 1, "expected pictures, found no files"),
        (["mnist@1", "torn.parquet", "--out", "a.csv"], 1, "torn.parquet: expected a Parquet file"),
        (["mnist@1", "in.parquet", "--out", "a.csv"], 2, "expected a column 'image', found picture"),
        (["mnist@1", "--files", "none", "--out", "a.csv"], 1, "--files none: expected a list of files"),
    ],
)
def test_a_wrong_call_is_one_line_and_leaves_nothing(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    Path("empty").mkdir()
    Path("empty.csv").mkdir()
    Path("torn.parquet").write_bytes(b"PAR1")
    parquet.write_table(pa.table({"picture": DIGITS}), "in.parquet")
    before = sorted(place.iterdir())
    assert predict(*words) == code
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    assert sorted(place.iterdir()) == before
