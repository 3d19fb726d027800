"""`python -m modelyard.service.recording.process`: what the service starts; see `delivery.child.Child`."""

import os
import signal
import sys
from multiprocessing.connection import Connection


def main() -> None:
    """Record what comes through the first pipe until it is closed, and tell through the second."""
    # Where the processors are busy, requests go first; even then this leaves it a tenth of one of them.
    os.nice(10)
    # The service ends this process by closing the pipe, after its last answer. A terminal may stop what
    # writes to it from the background.
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGTTOU):
        signal.signal(one, signal.SIG_IGN)
    # These take a second, in which a signal may come.
    from modelyard.service.recording.counters import remove_folder
    from modelyard.service.recording.options import RecordingOptions
    from modelyard.service.recording.process.writer import Writer

    given, told = (Connection(int(handle)) for handle in sys.argv[1:])
    options = given.recv()
    assert isinstance(options, RecordingOptions)  # noqa: S101  # the first message
    if not Writer(options, told.send).run(given):
        remove_folder()


if __name__ == "__main__":
    main()
