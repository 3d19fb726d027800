"""Recording as one object, which the application starts, uses and stops."""

import time

from prometheus_client import CollectorRegistry

from modelyard.monitoring.tables.places import open_place
from modelyard.monitoring.tables.writing import Values
from modelyard.service.models.models import Models, ServedVersion
from modelyard.service.recording.answered import Answered
from modelyard.service.recording.challengers import ChallengerSearch
from modelyard.service.recording.counters import CounterFolder
from modelyard.service.recording.ids.given_ids import GivenIds
from modelyard.service.recording.ids.marked_ids import Given, Ids
from modelyard.service.recording.options import RecordingOptions
from modelyard.service.recording.recorder import Recorder


class Recording:
    """Records what a service answers; raises ModelyardError if the place cannot be opened."""

    def __init__(
        self, options: RecordingOptions, models: Models, registry: CollectorRegistry, token: str | None
    ) -> None:
        self._marks = Ids(token)
        self.ids = GivenIds(self._marks, models, open_place(options.place))
        self._counters = CounterFolder(registry)
        self._challengers = ChallengerSearch(models, options.shadow) if options.shadow else None
        self._recorder = Recorder(options, self._counters.environment, self._challengers)

    def name(self, answered: Answered, served: ServedVersion, request_id: str, images: int) -> str:
        """Return the id of an answer to some images: the client's `request_id`, or a new one for ""."""
        if request_id:
            self.ids.remember(request_id, Given(served.name, served.version, images))
        answered.request_id = request_id or self._marks.make(served.name, served.version, images)
        answered.served = served
        # Before the answer is sent: a client's next request, to another process, comes later.
        answered.time_us = time.time_ns() // 1000
        return answered.request_id

    def offer(self, answered: Answered) -> None:
        """Record a request that was just answered, and let the shadow answer it as well."""
        self._recorder.offer(answered)

    def offer_label(self, model: str, row: Values) -> bool:
        """Record a row of the table of labels; return False if there is no room."""
        return self._recorder.offer_label(model, row)

    def problems(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        return [*self._recorder.problems(), *(self._challengers.problems() if self._challengers else ())]

    def start(self) -> None:
        """Begin to record."""
        self._recorder.start()
        if self._challengers is not None:
            self._challengers.start()

    def stop(self) -> None:
        """Write what is left, and end."""
        if self._challengers is not None:
            self._challengers.stop()
        self._recorder.stop()
        self._counters.remove()
