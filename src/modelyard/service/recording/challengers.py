"""Which versions answer beside the champions."""

import logging
import threading

from modelyard.service.models.models import Models, Unavailable, UnknownModel
from modelyard.service.recording.messages import Challenger, Challengers

# How often it is looked up; a loaded version is found without a lock.
LOOK_S = 1.0
STOP_S = 5.0
log = logging.getLogger(__name__)


class ChallengerSearch:
    """Finds the challengers of the models that were asked about, in a thread: they may have to be loaded.

    Args:
        models: the served models.
        alias: of the versions that answer beside the champions.
    """

    def __init__(self, models: Models, alias: str) -> None:
        self._models, self._alias = models, alias
        # Both are replaced, never changed.
        self.found: Challengers = {}
        self._wanted: frozenset[str] = frozenset()
        self._problems: dict[str, str] = {}
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
        return list(self._problems.values())

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; a registry that hangs may delay this by 5 s."""
        self._stopping = True
        self._asked.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._stopping:
            self._asked.clear()
            for name in sorted(self._wanted):
                try:
                    found = self._find(name)
                except Exception:  # the thread must not end: nobody would notice
                    log.exception("no challenger of %s can be found", name)
                    found = None
                if name not in self.found or self.found[name] != found:
                    self.found = {**self.found, name: found}
            self._asked.wait(LOOK_S)

    def _find(self, name: str) -> Challenger | None:
        """Return the version that answers beside a champion; None without one."""
        problem = ""
        try:
            champion = self._models.get(name)
            found = self._models.get(name, alias=self._alias)
            if found.version != champion.version:
                return Challenger(champion.version, found.version, found.predictor.bundle.folder)
        except UnknownModel:
            pass
        except Unavailable as error:
            problem = f"no shadow answers beside {name}: {error}"
        finally:
            others = {one: told for one, told in self._problems.items() if one != name}
            self._problems = others | ({name: problem} if problem else {})
        return None
