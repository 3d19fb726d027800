"""Which versions answer beside the champions."""

import logging
import threading
from pathlib import Path

from modelyard.service.models.models import Models, Unavailable, UnknownModel
from modelyard.service.models.registry_state import RegisteredVersion
from modelyard.service.recording.delivery.messages import Challenger, Challengers

# How often it is looked up, in what the service knows of the registry.
LOOK_S = 1.0
STOP_S = 2.0
log = logging.getLogger(__name__)


class ChallengerSearch:
    """Finds the challengers of the models that were asked about, in a thread: they may have to be fetched.

    `alias` is that of the versions that answer beside the champions.
    """

    def __init__(self, models: Models, alias: str) -> None:
        self._models, self._alias = models, alias
        # Both are replaced, never changed.
        self.found: Challengers = {}
        self._wanted: frozenset[str] = frozenset()
        self._problems: dict[str, str] = {}
        self._fetched: dict[str, tuple[tuple[int, str | None], Path]] = {}
        self._asked = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="challengers", daemon=True)

    def want(self, name: str) -> None:
        """Look for the challenger of a model from now on."""
        if name not in self._wanted:
            self._wanted |= {name}
            self._asked.set()

    def problems(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        return [problem for problem in self._problems.values() if problem]

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; a registry that hangs may delay this by 2 s."""
        self._stopping = True
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._stopping:
            self._asked.clear()
            for name in sorted(self._wanted):
                found = self._find(name)
                if name not in self.found or self.found[name] != found:
                    self.found = {**self.found, name: found}
            self._asked.wait(LOOK_S)

    def _find(self, name: str) -> Challenger | None:
        """Return the version that answers beside a champion; None if none does, whatever the reason."""
        found, problem = None, ""
        try:
            found = self._look_up(name)
        except Unavailable as error:
            problem = self._tell(name, f"no shadow answers beside {name}: {error}")
        except Exception as error:  # the thread must not end: nobody would notice
            problem = self._tell(name, f"no shadow answers beside {name} ({type(error).__name__})", error)
        self._problems = {**self._problems, name: problem}
        return found

    def _look_up(self, name: str) -> Challenger | None:
        try:
            champion = self._models.get(name)
            wanted = self._models.resolve(name, alias=self._alias)
        except UnknownModel:
            return None
        if wanted.version == champion.version:
            return None
        return Challenger(champion.version, wanted.version, self._fetch(name, wanted))

    def _fetch(self, name: str, wanted: RegisteredVersion) -> Path:
        key, known = (wanted.version, wanted.content_key), self._fetched.get(name)
        if known is None or known[0] != key:
            known = self._fetched[name] = key, self._models.fetch(name, wanted)
        return known[1]

    def _tell(self, name: str, problem: str, error: Exception | None = None) -> str:
        """Log a problem once for as long as it lasts, and return it."""
        if problem != self._problems.get(name):
            log.warning("%s", problem, exc_info=error)
        return problem
