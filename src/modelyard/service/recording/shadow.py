"""A version that answers the same pictures as the champion, in time that nothing else needs."""

import logging
import threading
import time
from collections.abc import Callable

from modelyard.inference.decoding.images import ImageError
from modelyard.inference.predictor import Seen
from modelyard.monitoring.tables.schema import SHADOW
from modelyard.service.models.models import Models, ServedVersion, Unavailable, UnknownModel
from modelyard.service.recording.answered import Answered
from modelyard.service.recording.counters import FAILED, LOAD, RecordingCounters
from modelyard.service.recording.counters import SHADOW as KIND
from modelyard.service.recording.queues import Queue

MOST_ROWS, MOST_BYTES = 2_000, 64_000_000
PAUSE_S = 0.02
# There is spare time when no request is inside, and none has come for this long.
QUIET_S = 0.002
# Without spare time, an image is answered after this pause, 200 times what the last one took, and 200
# requests: half a percent of the time and of the requests, so that their 99th percentile stays where it is.
LEAST_PAUSE_S, PAUSES, REQUESTS = 0.05, 200, 200
log = logging.getLogger(__name__)


class Shadow:
    """Lets the versions of an alias answer what champions have answered, one image at a time.

    `offer` is for the event loop. What does not fit into the queue is dropped and counted.

    Args:
        models: the served models.
        alias: of the versions that answer.
        inside: returns how many requests are being answered.
        record: is called with what was answered.
        counters: count what is dropped.
    """

    def __init__(
        self,
        models: Models,
        alias: str,
        inside: Callable[[], int],
        record: Callable[[Answered], None],
        counters: RecordingCounters,
    ) -> None:
        self._models, self._alias, self._inside = models, alias, inside
        self._record, self._counters = record, counters
        self._queue: Queue[Answered] = Queue(MOST_ROWS, MOST_BYTES)
        self._last_offer = self._next_turn = 0.0
        self._offers = self._next_offers = 0
        self._problems: dict[str, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def offer(self, answered: Answered) -> None:
        """Let the same images be answered again when there is time."""
        self._last_offer = time.monotonic()
        self._offers += 1
        if not self._queue.put(answered, len(answered.seen), answered.size):
            self._counters.count_dropped(KIND, LOAD, len(answered.seen))

    def problems(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        return list(self._problems.values())

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering; what waits is dropped."""
        self._stopping.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            taken = self._queue.take(1)
            if not taken:
                self._stopping.wait(PAUSE_S)
            for answered in taken:
                self._answer(answered)
        for answered in self._queue.take(MOST_ROWS):
            self._counters.count_dropped(KIND, LOAD, len(answered.seen))

    def _answer(self, answered: Answered) -> None:
        champion = answered.served
        assert champion is not None  # noqa: S101  # only requests with an answer come here
        try:
            challenger = self._find(champion)
            if challenger is None:
                return
            again = Answered(answered.request_id, answered.time_us, SHADOW, challenger)
            for place, seen in enumerate(answered.seen):
                if not self._wait_for_turn():
                    self._counters.count_dropped(KIND, LOAD, len(answered.seen) - place)
                    break
                started = time.monotonic()
                again.keep(_answer_again(champion, challenger, seen))
                took = time.monotonic() - started
                self._next_turn = started + max(LEAST_PAUSE_S, PAUSES * took)
                self._next_offers = self._offers + REQUESTS
            self._record(again)
        except Exception:  # the thread must not end: nobody would notice
            log.exception("a shadow's answer failed")
            self._counters.count_dropped(KIND, FAILED, len(answered.seen))

    def _find(self, champion: ServedVersion) -> ServedVersion | None:
        """Return the version that answers beside a champion; None without one, or for a former champion."""
        name = champion.name
        try:
            if self._models.get(name).version != champion.version:
                return None
            challenger = self._models.get(name, alias=self._alias)
        except UnknownModel:
            self._problems.pop(name, None)
            return None
        except Unavailable as error:
            self._problems[name] = f"no shadow answers beside {name}: {error}"
            return None
        self._problems.pop(name, None)
        return None if challenger.version == champion.version else challenger

    def _wait_for_turn(self) -> bool:
        """Wait until there is time for an image; return False if the service stops."""
        while not self._stopping.is_set():
            now = time.monotonic()
            if now >= self._next_turn and self._offers >= self._next_offers:
                return True
            if self._inside() == 0 and now - self._last_offer >= QUIET_S:
                return True
            # Each look at the clock delays a request.
            self._stopping.wait(PAUSE_S)
        return False


def _answer_again(champion: ServedVersion, challenger: ServedVersion, seen: Seen) -> Seen | None:
    """Answer the same prepared input, or the same picture where the two prepare theirs in different ways."""
    started = time.monotonic()
    one, other = champion.predictor, challenger.predictor
    try:
        same = one.bundle.preprocessing == other.bundle.preprocessing
        ready = seen.ready if same else other.preprocess(seen.image)
    except ImageError:
        return None
    given = other.ask(ready)
    return seen._replace(ready=ready, **given._asdict(), seconds=time.monotonic() - started)
