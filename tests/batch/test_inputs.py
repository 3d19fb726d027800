"""Pictures come in a fixed order, and no more of them are in memory than are worked on."""

import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from modelyard.batch.answering import answer_chunks
from modelyard.batch.inputs import PictureFiles, PictureTable, list_files, read_list
from modelyard.batch.worker import Task
from modelyard.errors import ModelyardError
from tflite_models import digit_bundle


def test_files_below_a_folder_come_by_name_without_hidden_ones_and_the_output_itself(tmp_path: Path) -> None:
    for name in (
        "b/2.png",
        "b/1.jpg",
        "a.txt",
        ".hidden/3.png",
        "b/.4.png",
        "b/Thumbs.db",
        "out.csv",
        "b/out.csv",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "b")
    (tmp_path / "z").symlink_to(tmp_path / "z")
    names = list(list_files([str(tmp_path), "one.png"], [tmp_path / "out.csv"]))
    inside = [
        "a.txt",
        *(f"{folder}/{name}" for folder in ("b", "link") for name in ("1.jpg", "2.png", "out.csv")),
        "z",
    ]
    assert names == [*(f"{tmp_path}/{name}" for name in inside), "one.png"]


def test_a_link_back_to_a_folder_around_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "back").symlink_to(tmp_path)
    with pytest.raises(ModelyardError, match=r"got the link .*back to a folder that contains it"):
        list(list_files([str(tmp_path)], []))


def test_paths_of_any_bytes_come_back_from_the_listing_and_chunks_leave_out_what_is_done(
    tmp_path: Path,
) -> None:
    odd = os.fsdecode(b"caf\xe9 \n.png")
    files = PictureFiles(["1", odd, "3", "4", "5"], tmp_path / "list")
    assert [tuple(chunk) for chunk in files.chunk(2, {1})] == [(0, ["1", odd], None), (2, ["5"], None)]
    again = PictureFiles(["1", odd, "3", "4"], tmp_path / "list")
    assert again.identity != files.identity


def test_a_list_of_files_leaves_out_empty_lines_only(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b" a.png\n\nb\xff.png")
    assert list(read_list(str(tmp_path / "list"))) == [" a.png", os.fsdecode(b"b\xff.png")]


def test_rows_of_a_table_are_numbered_over_its_row_groups_and_done_ones_are_not_read_again(
    tmp_path: Path,
) -> None:
    table = pa.table({"image": [b"%d" % number for number in range(11)]})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=5)
    pictures = PictureTable(tmp_path / "t.parquet", "image", None)
    chunks = list(pictures.chunk(3, set()))
    assert [chunk.number for chunk in chunks] == [0, 1, 2, 3, 4]
    assert [name for chunk in chunks for name in chunk.names] == [str(number) for number in range(11)]
    assert [cell for chunk in chunks for cell in chunk.images or ()] == [
        b"%d" % number for number in range(11)
    ]
    # The bytes of the second row group can be read no more.
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    column = parquet.read_metadata(tmp_path / "t.parquet").row_group(1).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + 20] = bytes(20)
    (tmp_path / "t.parquet").write_bytes(content)
    rest = PictureTable(tmp_path / "t.parquet", "image", None).chunk(3, {0, 2, 3})
    assert [tuple(chunk) for chunk in rest] == [(1, ["3", "4"], [b"3", b"4"]), (4, ["10"], [b"10"])]


def test_no_more_chunks_are_taken_than_the_workers_need_next(tmp_path: Path) -> None:
    files, taken = PictureFiles(map(str, range(100)), tmp_path / "list"), []

    def count() -> object:
        for chunk in files.chunk(1, ()):
            taken.append(chunk.number)
            yield chunk

    digit_bundle(tmp_path / "bundle")
    results = answer_chunks(Task(tmp_path / "bundle", tmp_path, Path("a.csv"), "path"), count(), 1)
    for finished in range(1, 5):
        next(results)
        assert len(taken) <= finished + 2
    results.close()
