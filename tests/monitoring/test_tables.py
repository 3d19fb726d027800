"""The tables as files: whole parts or none, in folders and buckets, and their removal."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
from pyarrow import parquet

from modelyard.cli import main
from modelyard.errors import ModelyardError, UsageError
from modelyard.monitoring.tables.kept_images import read_image
from modelyard.monitoring.tables.places import open_place
from modelyard.monitoring.tables.schema import LABELS, read_day
from modelyard.monitoring.tables.writing import name_part, write_file, write_part, write_rows
from team_server import run_s3

DAY_US = 86_400_000_000
TODAY_US = int(datetime(2026, 3, 14, tzinfo=UTC).timestamp()) * 1_000_000


def make_labels(number: int, time_us: int = TODAY_US) -> list[tuple[Any, ...]]:
    return [(time_us + place, f"id-{place}", 0, "1", "", "7", "feedback") for place in range(number)]


def list_parts(place: Path) -> list[Path]:
    return sorted(place.glob("labels/*/*/*"))


@pytest.mark.parametrize(
    ("folder", "day"),
    [
        ("day=2026-03-14", date(2026, 3, 14)),
        ("2026-03-14", None),
        ("day=soon", None),
        ("day=", None),
        ("", None),
    ],
)
def test_only_a_folder_named_after_its_day_holds_parts(folder: str, day: date | None) -> None:
    assert read_day(f"tables/answers/model=mnist/{folder}/part-1.parquet") == day


@pytest.mark.parametrize(
    ("name", "folder"),
    [("mnist", "model=mnist"), ("a b/ü~", "model=a%20b%2F%C3%BC%7E"), ("..", "model=..")],
)
def test_a_name_of_any_signs_makes_one_folder_that_reads_as_the_name(
    tmp_path: Path, name: str, folder: str
) -> None:
    [part] = write_rows(open_place(str(tmp_path)), LABELS, name, make_labels(3))
    assert Path(part).parent == tmp_path / "labels" / folder / "day=2026-03-14"
    assert list(pd.read_parquet(tmp_path / "labels").model.unique()) == [name]


def test_rows_of_several_days_make_a_part_for_each(tmp_path: Path) -> None:
    rows = [*make_labels(2, TODAY_US + DAY_US), *make_labels(3)]
    parts = write_rows(open_place(str(tmp_path)), LABELS, "mnist", rows)
    assert [(Path(part).parent.name, parquet.read_metadata(part).num_rows) for part in parts] == [
        ("day=2026-03-14", 3),
        ("day=2026-03-15", 2),
    ]


def test_a_part_that_is_written_again_under_its_name_leaves_no_row_twice(tmp_path: Path) -> None:
    place, name = open_place(str(tmp_path)), name_part()
    write_part(place, LABELS, "mnist", make_labels(2), name)
    write_part(place, LABELS, "mnist", make_labels(5), name)
    [part] = list_parts(tmp_path)
    assert parquet.read_metadata(part).num_rows == 5


def test_a_disk_that_is_full_leaves_no_part(tmp_path: Path) -> None:
    """A limit on the size of files plays the disk: writing fails halfway through."""
    program = (
        "import sys, signal, resource\n"
        "from modelyard.monitoring.tables.places import open_place\n"
        "from modelyard.monitoring.tables.writing import write_file\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "try:\n    write_file(open_place(sys.argv[1]), sys.argv[1] + '/labels/a/b/part', b'x' * 5000)\n"
        "except OSError as error:\n    print(error.errno)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert told.stdout == "27\n"
    assert list_parts(tmp_path) == []


def test_two_pods_of_one_host_name_and_process_number_write_two_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "modelyard-0")
    monkeypatch.setattr("os.getpid", lambda: 1)
    place = open_place(str(tmp_path))
    # All in one second, or in two.
    parts = {write_rows(place, LABELS, "mnist", make_labels(3))[0] for _ in range(4)}
    assert len(parts) == 4
    assert len(pd.read_parquet(tmp_path / "labels")) == 12


def test_a_process_that_is_killed_while_it_writes_leaves_whole_parts_only(tmp_path: Path) -> None:
    # It writes two parts, then half of a third, and waits to be killed.
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from modelyard.monitoring.tables.places import open_place\n"
        "from modelyard.monitoring.tables.schema import LABELS\n"
        "from modelyard.monitoring.tables.writing import write_rows\n"
        "def write_half(path, content, write=Path.write_bytes):\n"
        "    write(path, content[: len(content) // 2])\n"
        "    print(flush=True)\n"
        "    time.sleep(60)\n"
        "rows = [(number, f'id-{number * 7919}', 0, '1', '', '7', 'file') for number in range(5000)]\n"
        "for part in range(3):\n"
        "    if part == 2:\n"
        "        Path.write_bytes = write_half\n"
        "    write_rows(open_place(sys.argv[1]), LABELS, 'mnist', rows)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        process.kill()
    hidden = [path for path in list_parts(tmp_path) if path.name.startswith(".")]
    visible = [path for path in list_parts(tmp_path) if not path.name.startswith(".")]
    assert (len(hidden), len(visible)) == (1, 2)
    assert {parquet.read_metadata(part).num_rows for part in visible} == {5000}
    assert len(pd.read_parquet(tmp_path / "labels")) == 10_000


@pytest.mark.parametrize("name", ["", "gs://bucket", "s3://", "s3:///prefix"])
def test_a_place_that_is_neither_folder_nor_bucket_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        open_place(name)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket in moto's server, which the environment leads to, as to a store of one's own."""
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    with run_s3() as url:
        for name, value in (keys | {"AWS_ENDPOINT_URL": url}).items():
            monkeypatch.setenv(name, value)
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="answers")
        yield url


def test_a_bucket_holds_the_same_parts_and_pictures_and_is_pruned_alike(
    bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = open_place("s3://answers/a/prefix")
    [part] = write_rows(place, LABELS, "mnist", make_labels(3))
    write_file(place, place.folder("images", "mnist", "ab") + "/abcd.png", b"a picture")
    client: Any = boto3.client("s3", endpoint_url=bucket)
    keys = [one["Key"] for one in client.list_objects_v2(Bucket="answers")["Contents"]]
    assert sorted(keys) == ["a/prefix/images/model=mnist/ab/abcd.png", part.removeprefix("answers/")]
    assert parquet.read_table(part, filesystem=place.files, partitioning=None).num_rows == 3
    arguments = ["tables", "prune", "--tables", "s3://answers/a/prefix", "--older-than", "1d"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("s3://answers/a/prefix: removed: 1 files, ")
    left = [one["Key"] for one in client.list_objects_v2(Bucket="answers")["Contents"]]
    assert "a/prefix/images/model=mnist/ab/abcd.png" in left
    assert part.removeprefix("answers/") not in left


def test_a_bucket_that_is_not_there_is_an_error_of_the_system(bucket: str) -> None:
    with pytest.raises(OSError, match=r"NoSuchBucket|NO_SUCH_BUCKET"):
        write_rows(open_place("s3://nowhere/prefix"), LABELS, "mnist", make_labels(3))


def test_a_kept_picture_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    place, sha256 = open_place(str(tmp_path)), "a" * 64
    Path(place.folder("images", "mnist", "aa"), f"{sha256}.png").mkdir(parents=True)
    with pytest.raises(ModelyardError, match="expected pictures that can be read"):
        read_image(place, "mnist", sha256)


def test_prune_removes_whole_days_old_pictures_and_what_a_killed_process_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = open_place(str(tmp_path))
    today = int(datetime.now(UTC).timestamp()) // 86_400 * DAY_US
    parts = [
        write_rows(place, LABELS, "mnist", make_labels(1, today - days * DAY_US))[0]
        for days in (0, 29, 31, 400)
    ]
    pictures = [place.folder("images", "mnist", "ab") + f"/{name}.png" for name in ("old", "new")]
    left = [f"{Path(parts[0]).parent}/.part-{name}.parquet.x.new" for name in ("old", "now")]
    foreign = str(tmp_path / "labels" / "notes.txt")
    for path in (*pictures, *left, foreign):
        write_file(place, path, b"something")
    age_file(pictures[0], days=40)
    age_file(left[0], days=2)
    age_file(foreign, days=400)
    arguments = ["tables", "prune", "--tables", str(tmp_path), "--older-than", "30d"]
    assert main([*arguments, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path}: to remove: 4 files, ")
    assert all(Path(path).exists() for path in (*parts, *pictures, *left))
    assert main([*arguments, "--json"]) == 0
    assert '"files": 4' in capsys.readouterr().out
    assert [Path(path).exists() for path in parts] == [True, True, False, False]
    assert [Path(path).exists() for path in (*pictures, *left, foreign)] == [False, True, False, True, True]


def age_file(path: str, days: int) -> None:
    then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    os.utime(path, (then, then))
