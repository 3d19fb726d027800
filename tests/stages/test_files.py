"""Files and folders that appear whole or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.files import replace_folder


def test_a_new_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with replace_folder(tmp_path / "kept") as folder:
            (folder / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["kept", "kept/new"]


def test_all_files_are_on_the_disk_before_the_folder_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []

    def note(number: int) -> None:
        assert not (tmp_path / "kept").exists()
        flushed.append(os.fstat(number).st_size)

    monkeypatch.setattr(os, "fsync", note)
    with replace_folder(tmp_path / "kept") as folder:
        (folder / "one").write_text("1")
        (folder / "below").mkdir()
        (folder / "below/two").write_text("22")
    assert sorted(flushed) == [1, 2]


def test_a_body_that_fails_leaves_the_old_folder(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    with pytest.raises(RuntimeError):
        fail_half_way(tmp_path / "kept")
    assert [path.name for path in tmp_path.rglob("*")] == ["kept"]


def test_a_killed_process_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom modelyard.files import replace_folder\n"
        "with replace_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half').touch()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "kept")], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "kept").exists()


def fail_half_way(path: Path) -> None:
    with replace_folder(path) as folder:
        (folder / "half").touch()
        raise RuntimeError
