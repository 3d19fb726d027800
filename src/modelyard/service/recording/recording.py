"""Recording as one object, which the application starts, uses and stops."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry

from modelyard.monitoring.tables.places import open_place
from modelyard.monitoring.tables.schema import ANSWER
from modelyard.monitoring.tables.writing import Values
from modelyard.service.models.models import Models, ServedVersion
from modelyard.service.recording.answered import Answered
from modelyard.service.recording.counters import RecordingCounters
from modelyard.service.recording.ids.given_ids import GivenIds
from modelyard.service.recording.ids.marked_ids import Given
from modelyard.service.recording.options import RecordingOptions
from modelyard.service.recording.recorder import Recorder
from modelyard.service.recording.shadow import Shadow


class Recording:
    """Records what a service answers.

    Args:
        options: what is recorded, and where.
        models: the served models.
        inside: returns how many requests are being answered.
        registry: of the metrics.
        token: of the service.

    Raises:
        ModelyardError: the place cannot be opened.
    """

    def __init__(
        self,
        options: RecordingOptions,
        models: Models,
        inside: Callable[[], int],
        registry: CollectorRegistry,
        token: str | None,
    ) -> None:
        place, counters = open_place(options.place), RecordingCounters(registry)
        self._recorder = Recorder(place, options.images, counters)
        self._shadow = (
            None
            if options.shadow is None
            else Shadow(models, options.shadow, inside, self._recorder.offer_shadow, counters)
        )
        self.ids = GivenIds(token, models, place)

    def name(
        self, answered: Answered, served: ServedVersion, request_id: str, is_own: bool, images: int
    ) -> str:
        """Return the id of an answer to so many images, which is given now.

        An id that the service made is marked for feedback.
        """
        given = Given(served.name, served.version, images)
        answered.request_id = self.ids.name(request_id, is_own, given)
        answered.served, answered.role = served, ANSWER
        # Before the answer is sent: a client's next request, to another process, comes later.
        answered.time_us = time.time_ns() // 1000
        return answered.request_id

    def offer(self, answered: Answered) -> None:
        """Record a request that was just answered, and let the shadow answer it as well."""
        self._recorder.offer(answered)
        if self._shadow is not None:
            self._shadow.offer(answered)

    def offer_label(self, model: str, row: Values) -> bool:
        """Record a row of the table of labels; return False if there is no room."""
        return self._recorder.offer_label(model, row)

    def problems(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        return [*self._recorder.problems(), *(self._shadow.problems() if self._shadow else ())]

    def start(self) -> None:
        """Begin to record."""
        self._recorder.start()
        if self._shadow is not None:
            self._shadow.start()

    def stop(self) -> None:
        """Write what is left, and end."""
        if self._shadow is not None:
            self._shadow.stop()
        self._recorder.stop()
