"""Environments of the other servers, one each, from pinned requirements with hashes."""

import re
import subprocess
import sys
from pathlib import Path

from modelyard.errors import ModelyardError

PEERS = Path(__file__).parents[1] / "peers"


def make_environment(name: str, folder: Path) -> Path:
    """Install what is missing of `benchmarks/peers/NAME.txt`, and return the environment's `bin` folder."""
    print(f"{name}: the environment in {folder} (a minute or two, once)", flush=True)
    programs = folder / f"{name}-{sys.implementation.cache_tag}" / "bin"
    install = ("-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(PEERS / f"{name}.txt"))
    for command in (
        (sys.executable, "-m", "venv", str(programs.parent)),
        (str(programs / "python"), *install),
    ):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise ModelyardError(f"{' '.join(command)} failed:\n{result.stderr[-2000:]}")
    return programs


def read_version(name: str) -> str:
    """Return the version that is pinned, such as "litserve 0.2.19"."""
    [version] = re.findall(rf"^{name}==(\S+)", (PEERS / f"{name}.txt").read_text(), re.MULTILINE)
    return f"{name} {version}"
