"""A file over HTTP: resumed after a break, verified, and put in its place only when whole."""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Never

import requests
from filelock import FileLock
from requests import codes
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import ConnectTimeout, ReadTimeout, RequestException, SSLError
from tqdm import tqdm
from urllib3.exceptions import HTTPError, NameResolutionError, ReadTimeoutError

from modelyard.errors import ModelyardError
from modelyard.sources.choice import SourceError, Unreachable, WrongContent, sha256_of
from modelyard.sources.parts import Part

_BLOCK_BYTES = 1 << 16
_FIRST_PAUSE_S = 0.25


class _Broken(Exception):  # noqa: N818
    """The transfer broke off; another try may bring the rest."""


def fetch(
    url: str,
    path: Path,
    *,
    connect_timeout_s: float,
    read_timeout_s: float,
    sha256: str | None = None,
    max_bytes: int | None = None,
    retries: int = 3,
) -> Path:
    """Bring the file of an http or https URL to `path`, and return that; folders are made.

    A file that is there already stays, and no request is made; if `sha256` (in hex) is given it must match,
    else the caller checks and removes a wrong file. The bytes so far wait in `PATH.part`, even after a kill,
    and the next call resumes from them. Two processes that want the same path take turns. `read_timeout_s`
    bounds the server's silence; `retries` counts those after a broken transfer or a server's error (5xx).

    Raises:
        Unreachable: no file came.
        WrongContent: the file is too long, or its checksum differs.
        ModelyardError: the disk is full.
    """
    part = Part(path, url, connect_timeout_s, read_timeout_s, sha256, max_bytes)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _full_disk_explained(part), FileLock(f"{path}.lock"):
        if not _is_right(path, sha256):
            _bring(part, retries)
            part.become_target()
    return path


def _is_right(path: Path, sha256: str | None) -> bool:
    return path.is_file() and (sha256 is None or sha256_of(path) == sha256)


def _bring(part: Part, retries: int) -> None:
    """Leave the whole, right file in `part`. Pieces that do not fit together are fetched again, once."""
    resumed = _try_repeatedly(part, retries)
    if resumed and not _is_right(part.file, part.sha256):
        part.drop()
        _try_repeatedly(part, retries)
    if not _is_right(part.file, part.sha256):
        came = f"{sha256_of(part.file)} ({part.size_bytes:,} bytes)"
        part.drop()
        raise WrongContent(part.url, f"expected sha256 {part.sha256}, got {came}")


def _try_repeatedly(part: Part, retries: int, pause_s: float = _FIRST_PAUSE_S) -> bool:
    """Transfer until the end; return whether the last piece was appended to an earlier one."""
    try:
        return _transfer(part)
    except _Broken as broken:
        if retries == 0:
            raise Unreachable(part.url, str(broken)) from None
    time.sleep(pause_s)
    return _try_repeatedly(part, retries - 1, 2 * pause_s)


def _transfer(part: Part) -> bool:
    """Make one request and append the answer; return whether it was appended to an earlier piece."""
    headers = part.resume_headers()
    with _ask(part, headers) as response:
        if response.status_code == codes.requested_range_not_satisfiable and headers:
            part.drop()
            raise _Broken("416: the part that was here belongs to another file")
        offset = _check_answer(part, response)
        length = response.headers.get("Content-Length", "")
        total = offset + int(length) if length.isdigit() else None
        _check_size(part, total or 0)
        if offset == 0:
            part.begin(response.headers)
        _save(part, response, total)
    return offset > 0


def _ask(part: Part, headers: dict[str, str]) -> requests.Response:
    # A compressed transfer cannot be resumed, and a .gz must arrive unchanged.
    headers = {"Accept-Encoding": "identity"} | headers
    timeout_s = (part.connect_timeout_s, part.read_timeout_s)
    try:
        return requests.get(part.url, headers=headers, timeout=timeout_s, stream=True)
    except ConnectTimeout:
        raise Unreachable(part.url, f"no connection within {part.connect_timeout_s:g} s") from None
    except ReadTimeout:
        raise Unreachable(part.url, f"no answer within {part.read_timeout_s:g} s") from None
    except RequestException as error:
        raise _explain(part.url, error) from None


def _explain(url: str, error: RequestException) -> SourceError | _Broken:
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(cause, NameResolutionError):
        return Unreachable(url, "host not found (DNS)")
    if not isinstance(error, NoConnection) or isinstance(error, SSLError):
        return Unreachable(url, f"expected an address that can be asked, got: {error}")
    if cause is None:
        return _Broken("the server closed the connection without an answer")
    system = cause.__cause__ or cause.__context__
    return Unreachable(url, f"no connection ({getattr(system, 'strerror', None) or cause})")


def _check_answer(part: Part, response: requests.Response) -> int:
    """Return the body's offset in the file, or raise an error if it is not the file."""
    code = response.status_code
    if code >= 500 or code == codes.too_many_requests:
        raise _Broken(f"the server answers {code} {response.reason}")
    if code not in (codes.ok, codes.partial_content):
        raise Unreachable(part.url, f"expected a file, but the server answers {code} {response.reason}")
    if "html" in response.headers.get("Content-Type", "").lower():
        raise Unreachable(part.url, "expected a file, got an HTML page")
    if code == codes.ok:
        return 0
    begin = part.size_bytes
    if not response.headers.get("Content-Range", "").startswith(f"bytes {begin}-"):
        part.drop()
        raise _Broken(f"asked for the bytes from {begin:,}, the server sends others")
    return begin


def _check_size(part: Part, size_bytes: int) -> None:
    if part.max_bytes is not None and size_bytes > part.max_bytes:
        part.drop()
        raise WrongContent(part.url, f"expected at most {part.max_bytes:,} bytes, got {size_bytes:,}")


def _save(part: Part, response: requests.Response, total: int | None) -> None:
    done = part.size_bytes
    with part.file.open("ab") as file, _progress(part, total) as bar:
        try:
            for block in response.raw.stream(_BLOCK_BYTES, decode_content=False):
                if done == 0 and block.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
                    raise Unreachable(part.url, "expected a file, got an HTML page")
                done += len(block)
                _check_size(part, done)
                file.write(block)
                bar.update(len(block))
        except HTTPError as error:
            silent = isinstance(error, ReadTimeoutError)
            how = f"silent for {part.read_timeout_s:g} s" if silent else "broken off"
            whole = "" if total is None else f" of {total:,}"
            raise _Broken(f"{how} after {done:,}{whole} bytes") from None


def _progress(part: Part, total: int | None) -> "tqdm[Never]":
    """Return a bar in bytes; if stderr is no terminal, print one line instead."""
    begin, terminal = part.size_bytes, sys.stderr.isatty()
    if not terminal:
        size = "unknown size" if total is None else f"{total:,} bytes"
        begun = f", from byte {begin:,}" if begin else ""
        print(f"fetching {part.url} ({size}{begun})", file=sys.stderr)
    return tqdm(
        desc=part.target.name,
        total=total,
        initial=begin,
        unit="B",
        unit_scale=True,
        file=sys.stderr,
        disable=not terminal,
    )


@contextmanager
def _full_disk_explained(part: Part) -> Iterator[None]:
    """Explain a full disk; the part stays, for the next run to resume."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ModelyardError(
            f"{part.url}: no room for {part.target} ({os.strerror(error.errno)}); {part.size_bytes:,} bytes "
            f"have come: make room, then run again, and it continues from there"
        ) from None
