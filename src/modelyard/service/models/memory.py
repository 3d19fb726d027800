"""The loaded versions: champions, and a bounded number of others."""

import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from modelyard.inference.predictor import Predictor
from modelyard.registry.versions import CHAMPION
from modelyard.service.models.registry_state import RegisteredVersion


@dataclass(frozen=True)
class ServedVersion:
    """A version that is loaded and warmed up.

    Several threads may use `predictor` at once; it leaves memory with its last user.
    """

    name: str
    version: int
    predictor: Predictor

    def is_still(self, registered: RegisteredVersion) -> bool:
        """Say whether this is the registered version; a name that was deleted starts again at version 1."""
        same = self.version == registered.version
        return same and self.predictor.bundle.content_key == registered.content_key


class Memory:
    """Loaded versions by number and by alias, for several threads at once.

    Beside the champions `max_extra` versions stay, those that were used last. A former champion stays only if
    it was requested by its number or another alias.
    """

    def __init__(self, max_extra: int) -> None:
        self._max_extra = max_extra
        # `find` reads these without the lock: they are never changed, only replaced.
        self._routes: Mapping[tuple[str, int | None, str | None], ServedVersion] = {}
        # The lock guards the rest; only `_used` is also written without it.
        self._lock = threading.Lock()
        self._aliases: dict[tuple[str, str], ServedVersion] = {}
        self._loaded: dict[tuple[str, int], ServedVersion] = {}
        self._used: dict[tuple[str, int], int] = {}
        self._ticks = itertools.count()

    def find(self, name: str, version: int | None, alias: str | None) -> ServedVersion | None:
        """Return a version if it is loaded, without a lock; the champion if no version or alias is given."""
        served = self._routes.get((name, version, alias))
        if served is not None and (version is not None or alias not in (None, CHAMPION)):
            self._used[name, served.version] = next(self._ticks)
        return served

    def peek(self, name: str, version: int | None, alias: str | None) -> ServedVersion | None:
        """Return the same as `find`, but do not count it as use."""
        return self._routes.get((name, version, alias))

    def aliases(self) -> list[tuple[str, str]]:
        """Return the names and aliases of loaded versions."""
        return [(name, alias) for name, _, alias in self._routes if alias is not None]

    def content_keys(self) -> set[str]:
        """Return the digests of the bundles that are loaded."""
        with self._lock:
            return {served.predictor.bundle.content_key for served in self._loaded.values()}

    def keep(self, served: ServedVersion, alias: str | None) -> None:
        """Serve a version by its number and by the alias, if one is given, in one step."""
        key = (served.name, served.version)
        with self._lock:
            if alias != CHAMPION:
                self._used[key] = next(self._ticks)
            self._loaded[key] = served
            if alias is not None:
                self._aliases[served.name, alias] = served
            self._rebuild()

    def retain(self, known: Callable[[ServedVersion], bool], alias_known: Callable[[str, str], bool]) -> None:
        """Drop aliases and versions that are no longer known; a champion stays as long as its alias."""
        with self._lock:
            self._aliases = {key: served for key, served in self._aliases.items() if alias_known(*key)}
            stay = {key for key, served in self._loaded.items() if known(served)}
            self._used = {key: tick for key, tick in list(self._used.items()) if key in stay}
            self._rebuild()

    def _rebuild(self) -> None:
        """Drop versions beyond the limit, and make new routes."""
        champions = {name: served for (name, alias), served in self._aliases.items() if alias == CHAMPION}
        stay = {(name, served.version) for name, served in champions.items()}
        extras = [key for key in self._loaded if key not in stay and key in self._used]
        extras.sort(key=lambda key: self._used[key], reverse=True)
        stay.update(extras[: self._max_extra])
        self._loaded = {key: served for key, served in self._loaded.items() if key in stay}
        self._aliases = {
            key: served for key, served in self._aliases.items() if (served.name, served.version) in stay
        }
        self._routes = {
            **{(name, version, None): served for (name, version), served in self._loaded.items()},
            **{(name, None, alias): served for (name, alias), served in self._aliases.items()},
            **{(name, None, None): served for name, served in champions.items()},
        }
