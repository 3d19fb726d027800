"""A process that has imported what programs need, but not used it; each program is a fork of it.

    python forking_process.py SOCKET MODULE ...

listens on a Unix socket, leaves its parent, and imports the modules. A connection sends a line of JSON that
says what to run, with the files that are to be 0 to 2:

    {"folder": the working directory, "arguments": as Python takes them, a script, -m or -c first,
     "environment": all of it, "setup": code that runs before it, may be absent}

The line that comes back is its exit code, or minus the signal that ended it. A number on the connection is a
signal for the program; the end of the connection kills it. A connection that sends `null` holds the process,
which ends after the last that holds it.
"""

import atexit
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelyard.imports import left_out, without_collecting

# The exit code of the program that this process has become, once it is known.
ENDED: list[int] = []


class Forks:
    """The programs that run."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._selector = selectors.DefaultSelector()
        for readable in (listening, self._woken):
            self._selector.register(readable, selectors.EVENT_READ)
        self._running: dict[socket.socket, int] = {}
        self._holders: set[socket.socket] = set()
        # A child that ends wakes `select`.
        signal.set_wakeup_fd(self._waker.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def next_program(self) -> dict[str, Any] | None:
        """Return what to run, in the fork that is to run it; in this process, None after the last holder."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listening:
                    program = self._accept()
                    if program is not None:
                        return program
                elif key.fileobj is self._woken:
                    self._woken.recv(1000)
                    self._tell_ends()
                elif isinstance(key.fileobj, socket.socket) and not self._obey(key.fileobj):
                    return None

    def _accept(self) -> dict[str, Any] | None:
        connection, _ = self._listening.accept()
        first, files, _, _ = socket.recv_fds(connection, 1, 3)
        text = first
        while text and not text.endswith(b"\n"):
            text += connection.recv(1 << 16)
        told = json.loads(text or b"{}")
        if told is None:
            self._holders.add(connection)
            connection.sendall(b"1")
        elif told:
            pid = os.fork()
            if pid == 0:
                self._leave(connection, files)
                return dict(told)
            self._running[connection] = pid
        for file in files:
            os.close(file)
        self._selector.register(connection, selectors.EVENT_READ)
        return None

    def _leave(self, connection: socket.socket, files: list[int]) -> None:
        """Give up, in a fork, what is its parent's, and take the files as 0 to 2."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.SIG_IGN)
        self._selector.close()
        for mine in (self._listening, self._woken, self._waker, connection, *self._running, *self._holders):
            mine.close()
        for place, file in enumerate(files):
            os.dup2(file, place)
            os.close(file)

    def _tell_ends(self) -> None:
        for connection, pid in list(self._running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._running[connection]
                self._close(connection, b"%d\n" % os.waitstatus_to_exitcode(status))

    def _obey(self, connection: socket.socket) -> bool:
        """Pass signals on to a program; return whether anybody needs this process."""
        try:
            said = connection.recv(1000)
        except OSError:
            said = b""
        if pid := self._running.get(connection):
            for number in said.split() or [signal.SIGKILL]:
                os.kill(pid, int(number))
        if not said:
            self._selector.unregister(connection)
            if connection not in self._running:
                connection.close()
            self._holders.discard(connection)
        return bool(self._holders)

    def _close(self, connection: socket.socket, last: bytes) -> None:
        # Whoever asked may have gone.
        with suppress(OSError, KeyError):
            connection.sendall(last)
            self._selector.unregister(connection)
        connection.close()


def become(program: dict[str, Any]) -> None:
    """Run a program in this process, as Python would."""
    os.chdir(program["folder"])
    os.environ.clear()
    os.environ.update(program["environment"])
    exec(program.get("setup", ""), {})  # noqa: S102
    first, *others = program["arguments"]
    if first == "-m":
        sys.path[0], sys.argv = os.getcwd(), others  # noqa: PTH109
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.path[0], sys.argv = "", ["-c", *others[1:]]
        exec(compile(others[0], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102
    else:
        sys.path[0], sys.argv = str(Path(first).absolute().parent), [first, *others]
        runpy.run_path(first, run_name="__main__")


def leave() -> None:
    """End a program that exits: to take all modules apart, as Python goes on to do, takes 0.3 s."""
    if ENDED:
        sys.stdout.flush()
        os._exit(ENDED[0] & 0xFF)


def main() -> None:
    # As the first, it is called as the last, when threads and the children of multiprocessing have ended.
    atexit.register(leave)
    path, *modules = sys.argv[1:]
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(100)
    if os.fork():
        os._exit(0)
    os.setsid()
    with without_collecting(), left_out("sklearn"):
        for name in modules:
            importlib.import_module(name)
    # A fork has the one thread that forks.
    assert threading.active_count() == 1, threading.enumerate()
    program = Forks(listening).next_program()
    if program is None:
        for name in (path, f"{path}.lock"):
            Path(name).unlink(missing_ok=True)
        # The forks end with it, as those that asked for them have.
        os.killpg(0, signal.SIGKILL)
    else:
        try:
            become(program)
            sys.exit()
        except SystemExit as end:
            code = end.code
            ENDED.append(code if isinstance(code, int) else int(code is not None))
            raise


if __name__ == "__main__":
    main()
