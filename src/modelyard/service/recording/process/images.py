"""The files of a share of the pictures, chosen by their digests, so that all services choose the same."""

import logging
import time
from collections import OrderedDict, deque

from modelyard.monitoring.tables.places import IMAGES, Place
from modelyard.monitoring.tables.writing import write_file
from modelyard.service.backoff import Backoff
from modelyard.service.recording.counters import FAILED, FULL, IMAGE, PLACE, RecordingCounters
from modelyard.service.recording.process.rows import Row

MOST_WAITING_BYTES = 32_000_000
# Recently written pictures, which are not written again when they come again.
MOST_KNOWN = 10_000
log = logging.getLogger(__name__)


class Images:
    """Pictures that wait to be written; used by one thread. Those that do not fit are dropped and counted.

    One that cannot be written is tried again later, with longer and longer pauses.
    """

    def __init__(self, place: Place, share: float, counters: RecordingCounters) -> None:
        self._place, self._share, self._counters = place, share, counters
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._waiting_bytes = 0
        self._known: OrderedDict[str, None] = OrderedDict()
        self._backoff = Backoff()

    def add(self, row: Row) -> None:
        """Add the file of a row's picture, if it belongs to the share and is not there yet."""
        picture = row.picture
        if not picture.suffix or not is_chosen(picture.sha256, self._share):
            return
        folder = self._place.folder(IMAGES, row.model, picture.sha256[:2])
        path = f"{folder}/{picture.sha256}{picture.suffix}"
        if path in self._known:
            self._known.move_to_end(path)
            return
        if self._waiting_bytes + len(picture.file) > MOST_WAITING_BYTES:
            self._counters.count_dropped(IMAGE, FULL if self._backoff.is_over else PLACE, 1)
            return
        self._know(path)
        self._waiting.append((path, picture.file))
        self._waiting_bytes += len(picture.file)

    def write_until(self, until: float) -> None:
        """Write what waits until a time (monotonic, in s), or a failure."""
        while time.monotonic() < until and self._write_one():
            pass

    def _write_one(self) -> bool:
        """Write the oldest file; return False if there is none, or the place has to wait."""
        if not self._waiting or not self._backoff.is_over:
            return False
        path, file = self._waiting[0]
        try:
            write_file(self._place, path, file)
        except OSError as error:
            log.debug("a picture has to wait: %s", error)
            # The others first, in case it is this one's fault.
            self._waiting.rotate(-1)
            self._backoff.fail()
            return False
        except Exception:  # the others are written
            log.exception("a picture cannot be written")
            self._counters.count_dropped(IMAGE, FAILED, 1)
        else:
            self._counters.count_recorded(IMAGE, 1)
            self._backoff.reset()
        self._waiting.popleft()
        self._waiting_bytes -= len(file)
        return True

    def write_last(self, until: float) -> None:
        """Write what waits until a time (monotonic, in s) or a failure; drop the rest, and count it."""
        self._backoff.reset()
        self.write_until(until)
        if self._waiting:
            log.warning("%s pictures were not written before the stop", len(self._waiting))
            self._counters.count_dropped(IMAGE, PLACE, len(self._waiting))
            self._waiting.clear()

    def _know(self, path: str) -> None:
        self._known[path] = None
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)


def is_chosen(sha256: str, share: float) -> bool:
    """Say whether a picture with this digest, in hex, belongs to a share of them, 0..1."""
    return int(sha256[:13], 16) < share * 16**13
