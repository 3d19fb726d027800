"""Environments of the peers: one each, from pinned requirements with hashes, made once and reused."""

import hashlib
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modelyard.errors import ModelyardError

PEERS = Path(__file__).parents[1] / "peers"
STAMP = "requirements.sha256"


def make_environments(names: list[str], folder: Path) -> dict[str, Path]:
    """Make what is missing, side by side, and return the `bin` of each environment.

    Args:
        names: of peers; `benchmarks/peers/NAME.txt` are its requirements.
        folder: for the environments.

    Raises:
        ModelyardError: pip cannot install the requirements.
    """
    stale = [name for name in names if not _is_current(name, folder / name)]
    if stale:
        print(f"installing {' and '.join(stale)} into {folder} (a minute or two, once)", flush=True)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: _make(name, folder / name), stale))
    return {name: folder / name / "bin" for name in names}


def _make(name: str, environment: Path) -> None:
    shutil.rmtree(environment, ignore_errors=True)
    python = str(environment / "bin" / "python")
    _run([sys.executable, "-m", "venv", str(environment)])
    _run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(PEERS / f"{name}.txt")])
    (environment / STAMP).write_text(_digest(name))


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ModelyardError(f"{' '.join(command)} failed:\n{result.stderr[-2000:]}")


def _is_current(name: str, environment: Path) -> bool:
    stamp = environment / STAMP
    return stamp.is_file() and stamp.read_text() == _digest(name)


def _digest(name: str) -> str:
    return hashlib.sha256((PEERS / f"{name}.txt").read_bytes() + sys.version.encode()).hexdigest()
