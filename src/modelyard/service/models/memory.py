"""What is loaded: champions, and a bounded number of versions beside them."""

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

    Attributes:
        name: the registered name.
        version: its number.
        predictor: may be used by several threads at once; it leaves memory with the last who holds it.
        tags: as the registry had them when it was loaded.
        metrics: likewise.
    """

    name: str
    version: int
    predictor: Predictor
    tags: Mapping[str, str]
    metrics: Mapping[str, float]

    def is_still(self, registered: RegisteredVersion) -> bool:
        """Say whether the registry means this; a name that was deleted begins again with version 1."""
        same = self.version == registered.version
        return same and self.predictor.bundle.content_key == registered.content_key


class Memory:
    """Loaded versions by number and by alias, for several threads at once.

    Args:
        max_extra: how many stay beside the champions; the least recently used go. What nobody asked for by
            its number or another alias goes as soon as it is champion no more.
    """

    def __init__(self, max_extra: int) -> None:
        self._max_extra = max_extra
        # What `find` looks into: never changed, only replaced.
        self._routes: Mapping[tuple[str, int | None, str | None], ServedVersion] = {}
        # The rest belongs to the holder of the lock; `_used` alone is also written without it.
        self._lock = threading.Lock()
        self._aliases: dict[tuple[str, str], ServedVersion] = {}
        self._loaded: dict[tuple[str, int], ServedVersion] = {}
        self._used: dict[tuple[str, int], int] = {}
        self._ticks = itertools.count()

    def find(self, name: str, version: int | None, alias: str | None) -> ServedVersion | None:
        """Return what is loaded, in a moment and without a lock; without version and alias, the champion."""
        served = self._routes.get((name, version, alias))
        if served is not None and (version is not None or alias not in (None, CHAMPION)):
            self._used[name, served.version] = next(self._ticks)
        return served

    def peek(self, name: str, version: int | None, alias: str | None) -> ServedVersion | None:
        """Return the same as `find`, without counting that as use."""
        return self._routes.get((name, version, alias))

    def aliases(self) -> list[tuple[str, str]]:
        """Return the names and aliases that point at something loaded."""
        return [(name, alias) for name, _, alias in self._routes if alias is not None]

    def content_keys(self) -> set[str]:
        """Return the digests of the bundles that are loaded."""
        with self._lock:
            return {served.predictor.bundle.content_key for served in self._loaded.values()}

    def keep(self, served: ServedVersion, alias: str | None) -> None:
        """Serve a version, also by the alias where one is given, from one moment to the next."""
        key = (served.name, served.version)
        with self._lock:
            if alias != CHAMPION:
                self._used[key] = next(self._ticks)
            self._loaded[key] = served
            if alias is not None:
                self._aliases[served.name, alias] = served
            self._rebuild()

    def retain(self, known: Callable[[ServedVersion], bool], alias_known: Callable[[str, str], bool]) -> None:
        """Let go the aliases and versions that are known no more; a champion stays with its alias."""
        with self._lock:
            self._aliases = {key: served for key, served in self._aliases.items() if alias_known(*key)}
            self._used = {key: tick for key, tick in list(self._used.items()) if self._holds(key, known)}
            self._rebuild()

    def _holds(self, key: tuple[str, int], known: Callable[[ServedVersion], bool]) -> bool:
        served = self._loaded.get(key)
        return served is not None and known(served)

    def _rebuild(self) -> None:
        """Let go what has no place, and make new routes."""
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
