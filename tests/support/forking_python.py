"""Stands in for `python`, and starts in milliseconds: the program is a fork of forking_process.py.

Called as python -IS forking_python.py SOCKET ARGUMENT ...
"""

import json
import os
import signal
import socket
import sys


def send(connection: socket.socket, told: object, files: list[int]) -> None:
    """Send what to run; the files come with the first byte."""
    text = json.dumps(told).encode() + b"\n"
    socket.send_fds(connection, [text[:1]], files)
    connection.sendall(text[1:])


def main() -> None:
    path, *arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-c", "-m")):
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: connection.sendall(b"%d\n" % number))
    told = {"folder": os.getcwd(), "arguments": arguments, "environment": dict(os.environ)}  # noqa: PTH109
    send(connection, told, [0, 1, 2])
    code = int(connection.makefile().readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main()
