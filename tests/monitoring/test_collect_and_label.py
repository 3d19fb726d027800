"""Labels from a file, and labelled pictures collected into folders, by the commands."""

import hashlib
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from pyarrow import parquet

from conftest import compose_values
from live_answers import home_writers, make_rows, record
from modelyard.cli.main import main
from modelyard.images.additions.additions import name_folder, read_additions
from modelyard.images.pictures import PixelPictures, digest_arrays, write_pictures
from modelyard.monitoring.labels.labelling import label_from_file
from modelyard.monitoring.tables.places import Place, open_place
from small_registry import SmallRegistry

CLASSES = tuple(map(str, range(10)))
COUNT = 60
LIVE = home_writers().take(np.arange(COUNT))
TEST = PixelPictures(
    np.arange(10, dtype=np.uint8), CLASSES, np.concatenate([LIVE.levels[:1], home_writers().levels[900:909]])
)


def as_file(levels: Any, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(levels).save(stream, kind, **options)
    return stream.getvalue()


FILES = [as_file(levels) for levels in LIVE.levels]
SHA256 = [hashlib.sha256(content).hexdigest() for content in FILES]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> SmallRegistry:
    """Version 1 of mnist, whose labels are `0a` to `9a`."""
    registry = SmallRegistry(tmp_path_factory.mktemp("labelled"))
    registry.add()
    return registry


@pytest.fixture
def place(
    labelled: SmallRegistry, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    """Answers to 60 pictures, all of which are kept; the first is in the test split."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", labelled.uri)
    values = compose_values()
    values["monitor"]["tables"] = str(tmp_path / "tables")
    (repository / "params.yaml").write_text(yaml.safe_dump(values))
    write_pictures(repository / "data" / "test.npz", TEST)
    found = open_place(values["monitor"]["tables"])
    rows = make_rows(LIVE, start=datetime.now(UTC) - timedelta(hours=2))
    record(found, [(*row[:10], sha256, *row[11:]) for row, sha256 in zip(rows, SHA256, strict=True)])
    for sha256, content in zip(SHA256, FILES, strict=True):
        keep(found, sha256, content)
    return found


def keep(place: Place, sha256: str, content: bytes) -> None:
    path = Path(place.folder("images", "mnist", sha256[:2]), f"{sha256}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def label(place: Place, lines: str, labels: Sequence[str] = CLASSES) -> None:
    Path("labels.csv").write_text(lines)
    label_from_file(place, "mnist", Path("labels.csv"), labels)


def label_first(place: Place, count: int) -> None:
    lines = [f"request-{number},{one}" for number, one in enumerate(LIVE.labels[:count])]
    label(place, "request_id,label\n" + "\n".join(lines))


def collected(out: Path) -> dict[str, str]:
    """Return `split/class` of each collected file, by its digest."""
    return {path.stem: path.parent.relative_to(out).as_posix() for path in out.glob("*/*/*")}


def test_labelled_pictures_come_into_the_folders_of_their_classes(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "additions"
    label_first(place, 40)
    assert main(["collect", "mnist", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "left out, they are in the test split: 1" in printed
    found = collected(out)
    assert set(found) == set(SHA256[1:40])
    assert all(found[SHA256[place]].endswith(f"/{LIVE.labels[place]}") for place in range(1, 40))
    recent = sum(folder.startswith("recent/") for folder in found.values())
    assert 2 <= recent <= 16
    assert (
        f"labelled pictures written or there already: {recent} in recent/, {39 - recent} in train/" in printed
    )


def test_what_is_recent_stays_so_and_what_was_collected_stays(place: Place, tmp_path: Path) -> None:
    out = tmp_path / "additions"
    label_first(place, 20)
    assert main(["collect", "mnist", "--out", str(out)]) == 0
    before = collected(out)
    label_first(place, COUNT)
    assert main(["collect", "mnist", "--out", str(out)]) == 0
    after = collected(out)
    assert before.items() <= after.items()
    assert len(after) == COUNT - 1


def test_a_copy_in_another_file_is_collected_once_and_a_corrected_label_moves_the_picture(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "additions"
    copy = as_file(LIVE.levels[5], compress_level=0)
    sha256 = hashlib.sha256(copy).hexdigest()
    keep(place, sha256, copy)
    rows = make_rows(LIVE.take(np.array([5])), start=datetime.now(UTC) - timedelta(hours=1), prefix="copy")
    record(place, [(*rows[0][:10], sha256, *rows[0][11:])])
    label(place, f"label,sha256\n3,{sha256}\n3,{SHA256[5]}\n")
    assert main(["collect", "mnist", "--out", str(out)]) == 0
    assert "left out, they are copies: 1" in capsys.readouterr().out
    [(_, folder)] = collected(out).items()
    assert folder.endswith("/3")
    label(place, f"label,sha256\n4,{sha256}\n4,{SHA256[5]}\n")
    assert main(["collect", "mnist", "--out", str(out)]) == 0
    [(_, folder)] = collected(out).items()
    assert folder.endswith("/4")


def test_pictures_that_were_not_kept_or_are_of_no_class_are_counted(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Path(place.folder("images", "mnist", SHA256[1][:2]), f"{SHA256[1]}.png").unlink()
    lines = "request_id,index,label\nrequest-1,0,1\nrequest-2,0,zebra\nrequest-3,1,3\n"
    label(place, lines, [*CLASSES, "zebra"])
    assert main(["collect", "mnist", "--out", str(tmp_path / "additions")]) == 0
    printed = capsys.readouterr().out
    assert "left out, their files were not kept: 1" in printed
    assert "left out, their label is not a class of the dataset: 1" in printed
    assert printed.endswith("written or there already: none\n")


def test_the_command_writes_labels_that_the_model_knows(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("labels.csv").write_text("label,request_id,index\n7a,request-7,0\n3a,request-3,\n")
    assert main(["label", "mnist", "labels.csv"]) == 0
    assert capsys.readouterr().out == f"mnist: 2 labels written to {place.name}\n"
    rows = parquet.read_table(f"{place.name}/labels").to_pylist()
    assert {(row["request_id"], row["label"], row["source"]) for row in rows} == {
        ("request-7", "7a", "file"),
        ("request-3", "3a", "file"),
    }


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("label,sha256\n7a," + "0" * 64 + "\n12,x\n", "line 3: expected a label of the model (0a, 1a"),
        ("label,sha256\n7a,abc\n", "line 2: expected a sha256 of 64 hex digits, got 'abc'"),
        ("label,request_id\n7a,\n", "line 2: expected a sha256 or a request_id, got neither"),
        ("label,request_id,index\n7a,x,-1\n", "line 2: expected an index from 0, got '-1'"),
        ("name,label\nx,7a\n", "expected the columns label and sha256, or label, request_id"),
        ("", "expected the columns label and sha256, or label, request_id"),
        ("label,request_id\n\udcff,x\n", "expected a CSV file in UTF-8"),
    ],
)
def test_a_file_with_a_wrong_line_is_refused_whole(
    place: Place, capsys: pytest.CaptureFixture[str], content: str, fault: str
) -> None:
    Path("labels.csv").write_bytes(content.encode(errors="surrogateescape"))
    assert main(["label", "mnist", "labels.csv"]) == 1
    assert fault in capsys.readouterr().err
    assert not Path(place.name, "labels").exists()


def test_another_models_pictures_are_not_collected_without_its_test_split(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["collect", "zoo", "--out", str(tmp_path / "additions")]) == 1
    assert "expected mnist, whose test split this repository has, got zoo" in capsys.readouterr().err


def test_additions_are_read_without_copies_of_kept_out_pictures(tmp_path: Path) -> None:
    for split, name, place in (("train", "a", 1), ("train", "b", 2), ("train", "c", 3), ("recent", "d", 3)):
        path = tmp_path / split / CLASSES[place] / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[place])
    levels = np.repeat(LIVE.levels[1][:, :, None], 3, axis=2)
    training, recent = read_additions(tmp_path, CLASSES, {digest_arrays(levels)})
    assert (training.paths, training.labels.tolist()) == (("train/2/b.png",), [2])
    assert (recent.paths, recent.labels.tolist()) == (("recent/3/d.png",), [3])
    assert [len(one) for one in read_additions(tmp_path / "none", CLASSES, set())] == [0, 0]


def test_the_folder_of_any_class_lies_directly_in_its_split() -> None:
    assert [name_folder(name) for name in ("7", "T-shirt/top", "..", "50%", "é")] == [
        *("7", "T-shirt%2Ftop", "%2E.", "50%25", "é")
    ]
