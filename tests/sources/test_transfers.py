"""Files over HTTP, against a server with faults."""

import hashlib
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fault_server import Fault, FaultServer, run_fault_server
from modelyard.sources.choice import Unreachable, WrongContent
from modelyard.sources.transfers import fetch

BODY = np.random.default_rng(1).bytes(300_007)
SHA256 = hashlib.sha256(BODY).hexdigest()
PAGE = b"\n<!DOCTYPE html><html><title>Not here</title></html>"

# What a person does when a download breaks: start the same program again.
FETCH = """
import resource, sys
from pathlib import Path
from modelyard.errors import ModelyardError
from modelyard.sources.transfers import fetch
url, path, sha256, file_limit = sys.argv[1:]
if file_limit != "none":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_limit), int(file_limit)))
try:
    fetch(url, Path(path), connect_timeout_s=5, read_timeout_s=30, sha256=sha256)
except ModelyardError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with run_fault_server() as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "folder with space" / "file.bin"


def bring(url: str, target: Path, **options: Any) -> bytes:
    defaults = {"connect_timeout_s": 5.0, "read_timeout_s": 5.0, "sha256": SHA256}
    return fetch(url, target, **(defaults | options)).read_bytes()


def fetch_program(url: str, target: Path, file_limit: str = "none") -> list[str]:
    return [sys.executable, "-c", FETCH, url, str(target), SHA256, file_limit]


def whole_files(target: Path) -> list[str]:
    """Return what a next run could take for a whole file."""
    return [path.name for path in target.parent.glob("*") if path.suffix not in (".part", ".json", ".lock")]


def test_a_file_comes_whole_and_leaves_nothing_beside_it(server: FaultServer, target: Path) -> None:
    assert bring(server.serve("/f", BODY), target) == BODY
    assert whole_files(target) == ["file.bin"]
    assert not list(target.parent.glob("*.part*"))


def test_a_file_that_is_there_and_right_is_not_asked_for_again(server: FaultServer, target: Path) -> None:
    url = server.serve("/f", BODY)
    bring(url, target)
    assert bring(url, target) == BODY
    assert len(server.asked) == 1


def test_a_file_that_is_there_and_wrong_is_replaced(server: FaultServer, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    assert bring(server.serve("/f", BODY), target) == BODY


def test_a_gz_file_arrives_as_it_is(server: FaultServer, target: Path) -> None:
    bring(server.serve("/f", BODY), target)
    assert server.asked[0][1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("version", ["etag", "date", "none"])
def test_a_cut_transfer_is_resumed_where_it_stopped(server: FaultServer, target: Path, version: str) -> None:
    cut = Fault(cut_after=200_000, version=version)
    url = server.serve("/f", BODY, cut, Fault(version=version))
    assert bring(url, target) == BODY
    first, second = server.ranges
    assert first is None
    assert second is not None
    assert int(second.removeprefix("bytes=").rstrip("-")) > 100_000


def test_without_checksum_and_version_a_cut_transfer_starts_over(server: FaultServer, target: Path) -> None:
    cut = Fault(cut_after=200_000, version="none")
    assert bring(server.serve("/f", BODY, cut, Fault(version="none")), target, sha256=None) == BODY
    assert server.ranges == [None, None]


def test_a_server_that_ignores_ranges_starts_over(server: FaultServer, target: Path) -> None:
    url = server.serve("/f", BODY, Fault(cut_after=200_000), Fault(ignore_range=True))
    assert bring(url, target) == BODY


def test_a_file_that_changed_on_the_server_starts_over(server: FaultServer, target: Path) -> None:
    old = bytes(300_007)
    url = server.serve("/f", BODY, Fault(body=old, cut_after=200_000))
    assert bring(url, target, sha256=None) == BODY


def test_a_server_that_sends_other_bytes_than_asked_for_starts_over(
    server: FaultServer, target: Path
) -> None:
    url = server.serve("/f", BODY, Fault(cut_after=200_000), Fault(wrong_range=True))
    assert bring(url, target, sha256=None) == BODY
    assert server.ranges[2] is None


def test_a_part_beyond_the_end_starts_over(server: FaultServer, target: Path) -> None:
    longer = BODY + bytes(100_000)
    url = server.serve("/f", BODY, Fault(body=longer, cut_after=390_000, version="none"))
    assert bring(url, target) == BODY
    assert server.ranges[-1] is None


def test_pieces_of_two_versions_are_dropped_and_fetched_once_anew(server: FaultServer, target: Path) -> None:
    other = Fault(body=bytes(300_007), cut_after=200_000, version="none")
    assert bring(server.serve("/f", BODY, other), target) == BODY
    assert len(server.asked) == 3
    assert server.ranges[2] is None


def test_a_part_of_another_address_is_not_gone_on_from(server: FaultServer, target: Path) -> None:
    with pytest.raises(Unreachable):
        bring(server.serve("/other", bytes(300_007), Fault(cut_after=200_000)), target, retries=0)
    assert bring(server.serve("/f", BODY), target) == BODY
    assert server.ranges == [None, None]


def test_notes_that_cannot_be_read_start_over(server: FaultServer, target: Path) -> None:
    url = server.serve("/f", BODY, Fault(cut_after=200_000))
    with pytest.raises(Unreachable):
        bring(url, target, retries=0)
    target.with_name("file.bin.part.json").write_text("[1")
    assert bring(url, target) == BODY


def test_a_wrong_checksum_names_address_and_both_sums_and_leaves_nothing(
    server: FaultServer, target: Path
) -> None:
    url = server.serve("/f", b"something else")
    with pytest.raises(WrongContent) as caught:
        bring(url, target)
    came = hashlib.sha256(b"something else").hexdigest()
    assert str(caught.value) == f"{url}: expected sha256 {SHA256}, got {came} (14 bytes)"
    assert not whole_files(target)
    assert not list(target.parent.glob("*.part*"))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(status=404), "404 Not Found"),
        (Fault(status=403), "403 Forbidden"),
        (Fault(body=b"Please log in", content_type="text/html; charset=utf-8"), "got an HTML page"),
        (Fault(body=PAGE), "got an HTML page"),
    ],
)
def test_what_is_no_file_is_refused_at_once(
    server: FaultServer, target: Path, fault: Fault, reason: str
) -> None:
    url = server.serve("/f", BODY, fault)
    with pytest.raises(Unreachable, match=reason) as caught:
        bring(url, target)
    assert str(caught.value).startswith(f"{url}: expected a file")
    assert len(server.asked) == 1
    assert not whole_files(target)


@pytest.mark.parametrize("no_length", [False, True])
def test_a_file_that_is_too_long_is_refused(server: FaultServer, target: Path, no_length: bool) -> None:
    url = server.serve("/f", BODY, Fault(no_length=no_length))
    with pytest.raises(WrongContent, match="expected at most 100,000 bytes"):
        bring(url, target, max_bytes=100_000)
    assert not whole_files(target)
    assert not list(target.parent.glob("*.part*"))


def test_a_cut_that_the_server_gives_no_length_for_is_found_by_the_checksum(
    server: FaultServer, target: Path
) -> None:
    url = server.serve("/f", BODY, Fault(no_length=True, cut_after=200_000))
    with pytest.raises(WrongContent, match="200,000 bytes"):
        bring(url, target)


def test_a_transfer_that_always_breaks_off_says_how_far_it_came(server: FaultServer, target: Path) -> None:
    faults = [Fault(cut_after=70_000, ignore_range=True)] * 2
    with pytest.raises(Unreachable, match=r"broken off after .* of 300,007 bytes"):
        bring(server.serve("/f", BODY, *faults), target, retries=1)
    assert not whole_files(target)


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=429), Fault(hang_up=True)])
def test_a_passing_failure_of_the_server_is_tried_again(
    server: FaultServer, target: Path, fault: Fault
) -> None:
    assert bring(server.serve("/f", BODY, fault, fault), target) == BODY
    assert len(server.asked) == 3


def test_a_lasting_failure_of_the_server_is_named(server: FaultServer, target: Path) -> None:
    url = server.serve("/f", BODY, *[Fault(status=500)] * 2)
    with pytest.raises(Unreachable, match="500 Internal Server Error"):
        bring(url, target, retries=1)


def test_a_server_that_says_nothing_is_given_up(server: FaultServer, target: Path) -> None:
    url = server.serve("/f", BODY, Fault(mute=True))
    with pytest.raises(Unreachable, match=r"no answer within 0.2 s"):
        bring(url, target, read_timeout_s=0.2)


def test_a_server_that_falls_silent_in_the_middle_is_asked_for_the_rest(
    server: FaultServer, target: Path
) -> None:
    url = server.serve("/f", BODY, Fault(silent_after=200_000))
    assert bring(url, target, read_timeout_s=0.3) == BODY
    assert server.ranges[1] is not None


def test_an_unknown_host_is_named(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(Unreachable, match=r"^http://no-such-host.invalid/f: host not found"):
        bring("http://no-such-host.invalid/f", target)


def test_a_refused_connection_is_named(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(Unreachable, match="Connection refused"):
            bring(f"http://127.0.0.1:{port}/f", target)


def test_a_host_that_does_not_take_connections_is_given_up(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as busy, socket.socket() as first, socket.socket() as second:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        for caller in (first, second):  # they fill the queue that nobody serves
            caller.setblocking(False)
            caller.connect_ex(busy.getsockname())
        with pytest.raises(Unreachable, match=r"no connection within 0.3 s"):
            bring(f"http://127.0.0.1:{busy.getsockname()[1]}/f", target, connect_timeout_s=0.3)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "mnist.npz", "http://"])
def test_what_is_no_web_address_is_named(target: Path, url: str) -> None:
    with pytest.raises(Unreachable, match="expected an address"):
        bring(url, target)


def test_a_killed_transfer_goes_on_where_it_stopped(server: FaultServer, target: Path) -> None:
    url = server.serve("/f", BODY, Fault(silent_after=200_000))
    part = target.with_name("file.bin.part")
    with subprocess.Popen(fetch_program(url, target), stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (part.exists() and part.stat().st_size >= 196_608):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not whole_files(target)
    assert bring(url, target) == BODY
    assert server.ranges == [None, "bytes=196608-"]


def test_a_full_disk_is_explained_and_the_next_run_goes_on(server: FaultServer, target: Path) -> None:
    url = server.serve("/f", BODY)
    limited = subprocess.run(
        fetch_program(url, target, "100000"), capture_output=True, text=True, check=False
    )
    assert limited.returncode == 1
    message = limited.stderr.splitlines()[-1]
    assert message.startswith(f"{url}: no room for {target}")
    assert "make room, then run again" in message
    assert not whole_files(target)
    assert bring(url, target) == BODY
    assert server.ranges == [None, "bytes=100000-"]


def test_two_that_want_the_same_file_fetch_it_once(server: FaultServer, target: Path) -> None:
    url = server.serve("/f", BODY)
    with ThreadPoolExecutor() as pool:
        bodies = list(pool.map(lambda _: bring(url, target), range(4)))
    assert bodies == [BODY] * 4
    assert len(server.asked) == 1


def test_without_a_terminal_one_line_is_said(
    server: FaultServer, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.serve("/f", BODY)
    bring(url, target)
    assert capsys.readouterr().err == f"fetching {url} (300,007 bytes)\n"


def test_in_a_terminal_a_bar_counts_the_bytes(server: FaultServer, target: Path) -> None:
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 100))
    url = server.serve("/f", BODY)
    subprocess.run(fetch_program(url, target), stderr=terminal, check=True)
    os.close(terminal)
    shown = os.read(screen, 100_000).decode()
    os.close(screen)
    assert "file.bin: 100%" in shown
    assert "300k/300k" in shown
