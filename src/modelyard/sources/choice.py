"""The choice of a source: the first one that answers. Downloads are kept between runs.

`transfers.fetch` brings a file over HTTP, `npm.fetch_npm` from a package; `archives.unpack_archive` unpacks
them. All of them raise the two errors of this module, so that the next source can be tried.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from modelyard.errors import ModelyardError
from modelyard.repository import find_root

T = TypeVar("T")


class SourceError(ModelyardError):
    """A source did not give what was expected; another one may. `reason` leaves out the address."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address}: {reason}")
        self.address = address
        self.reason = reason


class Unreachable(SourceError):  # noqa: N818
    """No file came: no such host, refused, timed out, broken off, 404, or a web page instead."""


class WrongContent(SourceError):  # noqa: N818
    """A file came with a wrong checksum, format or size."""


class NoSourceAnswers(ModelyardError):  # noqa: N818
    """Every source failed; `failures` has the error of each, in order."""

    def __init__(self, what: str, failures: tuple[SourceError, ...], hint: str) -> None:
        reasons = "".join(f"\n  {failure}" for failure in failures) or "\n  no source is named"
        super().__init__(f"no source gives {what}:{reasons}\n{hint}")
        self.failures = failures

    @property
    def unreachable(self) -> bool:
        """True if no source gave any file; False if at least one gave a wrong one."""
        return all(isinstance(failure, Unreachable) for failure in self.failures)


def first_that_answers(what: str, sources: Mapping[str, Callable[[], T]], hint: str) -> tuple[T, str]:
    """Try the sources in order; return what the first good one gives, with its address.

    `what` and `hint`, the advice when all fail, are for messages. Every failure, and the success, prints a
    line to stderr.

    Raises:
        NoSourceAnswers: all of them raised a SourceError; the message lists each with its reason.
        ModelyardError: something else is wrong, such as a full disk; no other source is tried.
    """
    failures = []
    for address, obtain in sources.items():
        try:
            obtained = obtain()
        except SourceError as failure:
            print(f"{what}: {failure}", file=sys.stderr)
            failures.append(failure)
        else:
            print(f"{what}: from {address}", file=sys.stderr)
            return obtained, address
    raise NoSourceAnswers(what, tuple(failures), hint)


def download_folder() -> Path:
    """Return `.downloads` in the repository's root, also from inside an experiment's copy of it."""
    return find_root() / ".downloads"


def kept_path(url: str) -> Path:
    """Return where the file of `url` is kept between runs: `.downloads/HOST/PATH`."""
    parts = urlsplit(url)
    names = [name for name in parts.path.split("/") if name not in ("", ".", "..")]
    return download_folder().joinpath(parts.netloc or "local", *names)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
