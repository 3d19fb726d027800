"""The end of new connections: those that clients have opened are still accepted, later ones are not."""

import ctypes
import logging
import select
import socket
import struct
import sys

# Linux's number; Python has no name for it.
_SO_ATTACH_FILTER = 26
_FLAGS_AT, _SYN, _SYN_ACK = 13, 0x02, 0x12
# A Berkeley packet filter on TCP headers that drops requests for a connection.
_NO_REQUESTS = (
    (0x30, 0, 0, _FLAGS_AT),
    (0x54, 0, 0, _SYN_ACK),
    (0x15, 0, 1, _SYN),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFF_FFFF),
)
_log = logging.getLogger(__name__)


class Arrivals:
    """Clients that have connected to a socket, and wait to be accepted.

    Closing the port would reset them, although they may have sent a request already. A socket is `shared` if
    other processes go on accepting when this one stops.
    """

    def __init__(self, listening: socket.socket, shared: bool) -> None:
        self._listening = listening
        self._shared = shared

    def end(self) -> None:
        """Stop new connections, unless other processes share the socket."""
        if not self._shared:
            turn_away(self._listening)

    @property
    def are_waiting(self) -> bool:
        """Whether a client waits to be accepted."""
        return bool(select.select([self._listening], [], [], 0)[0])


def turn_away(listening: socket.socket) -> None:
    """Stop new connections for good, whichever process accepts; on Linux only.

    Clients retry, and are refused once the socket is closed.
    """
    if sys.platform != "linux":
        return
    # The kernel copies the program.
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _NO_REQUESTS))
    told = struct.pack("HL", len(_NO_REQUESTS), ctypes.addressof(program))
    try:
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, told)
    except OSError as error:
        _log.warning("clients that connect while the port is closed may be reset (%s)", error)
