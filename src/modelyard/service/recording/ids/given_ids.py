"""Which ids were given, and for what; ids that clients chose are found in memory or in the table."""

import threading
from datetime import UTC, datetime, timedelta

from modelyard.monitoring.tables.places import Place
from modelyard.monitoring.tables.schema import ANSWERS, name_day
from modelyard.service.models.models import Models
from modelyard.service.recording.ids.marked_ids import Given, Ids

MOST_REMEMBERED = 10_000
# Days of the table in which an id is looked up: today and yesterday.
DAYS = 2


class GivenIds:
    """Finds what an id was given for.

    An id that the service made is marked (see `Ids`), and known to all workers and pods with the same token.
    The process that answered remembers the latest 10,000 ids that clients chose. Other processes find them in
    the table of the last two days, once they are written.
    """

    def __init__(self, ids: Ids, models: Models, place: Place) -> None:
        self._marked, self._models, self._place = ids, models, place
        # Written by the event loop alone.
        self._chosen: dict[str, Given] = {}
        self._looking = threading.Lock()

    def remember(self, request_id: str, given: Given) -> None:
        """Remember an id that a client chose."""
        self._chosen[request_id] = given
        if len(self._chosen) > MOST_REMEMBERED:
            del self._chosen[next(iter(self._chosen))]

    def find(self, request_id: str) -> Given | None:
        """Return what an id was given for, None if it is not known; it may read the table.

        Raises BlockingIOError if another id is being looked up in the table.
        """
        models = [model["name"] for model in self._models.describe()]
        known = self._marked.read(request_id, models) or self._chosen.get(request_id)
        if known is not None:
            return known
        # Reading takes processor time; a client that invents ids must not get all of it.
        if not self._looking.acquire(blocking=False):
            raise BlockingIOError("another id is being looked for")
        try:
            return next(filter(None, (self._look_up(model, request_id) for model in models)), None)
        finally:
            self._looking.release()

    def _look_up(self, model: str, request_id: str) -> Given | None:
        from pyarrow import ArrowException
        from pyarrow.fs import FileSelector

        today = datetime.now(UTC).date()
        for back in range(DAYS):
            folder = self._place.folder(ANSWERS, model, name_day(today - timedelta(days=back)))
            for file in self._place.files.get_file_info(FileSelector(folder, allow_not_found=True)):
                if not file.base_name.startswith("part-"):
                    continue
                try:
                    found = self._search(file.path, request_id)
                except (OSError, ArrowException):
                    # Torn, or just removed: its rows are not known. `modelyard monitor` names it.
                    continue
                if found:
                    return Given(model, *found)
        return None

    def _search(self, path: str, request_id: str) -> tuple[int, int] | None:
        """Return version and number of images of the answer with an id in a part."""
        from pyarrow import parquet

        rows = parquet.read_table(
            path,
            columns=["version", "index"],
            filters=[("request_id", "=", request_id), ("role", "=", "answer")],
            filesystem=self._place.files,
            use_threads=False,
            partitioning=None,
        ).to_pylist()
        return (int(rows[-1]["version"]), 1 + max(row["index"] for row in rows)) if rows else None
