"""The served models: champions follow the registry, other versions are loaded when they are asked for."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard.inference.decoding.images import Limits
from modelyard.inference.plain_text import show
from modelyard.inference.predictor import DEFAULT_LIMITS
from modelyard.registry.artifact_files import ArtifactError
from modelyard.registry.versions import CHAMPION
from modelyard.service.models.description import describe_model
from modelyard.service.models.loading import MOST_LOGGED, Loader, LoadObserver, Unavailable
from modelyard.service.models.local_copy import LocalCopy
from modelyard.service.models.lookup import UnknownModel, find_alias, find_version, list_known
from modelyard.service.models.memory import Memory, ServedVersion
from modelyard.service.models.registry_client import RegistryClient
from modelyard.service.models.registry_state import RegisteredVersion, RegistryState, SourceError

__all__ = ["Models", "ServedVersion", "Unavailable", "UnknownModel"]

STOP_TIMEOUT_S = 5.0
# How long a start waits for the champions. A local database has them at once; a server may take longer, and
# probes must be answered meanwhile.
START_TIMEOUT_S = 1.0
# Versions whose sample pictures stay in memory, at most 4 MB of each.
MOST_SAMPLED = 8
NOTHING = "no model is registered that modelyard has published"

log = logging.getLogger(__name__)


class Models:
    """Versions in memory, for several threads at once.

    A background thread asks the registry every `poll_s`. When an alias has moved, it loads the new version
    beside the old one, warms it up, and then swaps them in one step; no request waits for that. While the
    registry is away, the last known versions are served; after a start, those of the local copy.

    Args:
        copy: bundles and the registry's last known state, on this machine.
        names: the models to serve, the default first; empty for all that modelyard has published.
        poll_s: seconds between two requests to the registry.
        max_extra: versions that stay in memory beside the champions; the least recently used leave first.
        mlflow: the address of MLflow's web pages, for links to a version's card, if there are any.
    """

    def __init__(
        self,
        source: RegistryClient,
        copy: LocalCopy,
        names: Sequence[str],
        poll_s: float = 5.0,
        max_extra: int = 4,
        limits: Limits = DEFAULT_LIMITS,
        mlflow: str | None = None,
    ) -> None:
        self._mlflow = mlflow
        self._source, self._copy, self._names, self._poll_s = source, copy, tuple(names), poll_s
        self._memory = Memory(max_extra)
        self._loader = Loader(source, copy, self._memory, wait_s=poll_s, limits=limits)
        self._state: RegistryState | None = None
        # Never changed, only replaced.
        self._samples: dict[tuple[str, int, str | None], dict[str, bytes]] = {}
        self._away = False
        self._source_problem = ""
        self._alias_problems: list[str] = []
        # Problems that are in the log already.
        self._told: set[str] = set()
        self._settled = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def get(self, name: str, version: int | None = None, alias: str | None = None) -> ServedVersion:
        """Return a version: the champion, or the one with a number or an alias.

        A loaded version is returned at once and without a lock. Champions are loaded only in the background,
        other versions by the calling thread, which may have to download them; several threads load one once.

        Raises:
            UnknownModel: there is no such model, version or alias.
            Unavailable: it cannot be loaded now.
            ValueError: both `version` and `alias` are given.
        """
        return self._memory.find(name, version, alias) or self._demand(name, version, alias)

    def resolve(self, name: str, version: int | None = None, alias: str | None = None) -> RegisteredVersion:
        """Return a version as the registry last described it: the champion, or one with a number or an alias.

        Raises UnknownModel if there is no such model, version or alias, and Unavailable if the registry was
        not read yet.
        """
        if (state := self._state) is None:
            raise Unavailable(f"{name}: {'; '.join(self.problems())}")
        return find_version(state, name, version, alias)

    def fetch(self, name: str, wanted: RegisteredVersion) -> Path:
        """Return the folder of a version's bundle in the local copy, tried but not loaded.

        Raises Unavailable if it cannot be fetched or used now.
        """
        return self._loader.fetch(name, wanted).folder

    def default(self) -> ServedVersion:
        """Return the champion of the first configured name, or else of the first name in the alphabet.

        Raises UnknownModel if the registry has no such model, and Unavailable if it is not loaded.
        """
        names = self._names or sorted(name for name, alias in self._memory.aliases() if alias == CHAMPION)
        if not names:
            raise Unavailable("no model is loaded: " + "; ".join(self.problems()))
        return self.get(names[0])

    def describe(self) -> list[dict[str, Any]]:
        """Return what is known about the models, by name, as plain JSON values.

        Returns:
            For each model `{"name", "aliases": {alias: version}, "versions": [{"version", "loaded",
            "size_bytes", "metrics", "precision", "content_key", "network", "input", "card"}], "labels"}`.
            Values that are not known are None, such as network and input of a version that is not loaded;
            labels are those of the loaded champion.
        """
        models = self._state.models if self._state else {}
        return [describe_model(model, self._memory, self._mlflow) for _, model in sorted(models.items())]

    def samples(self, name: str, version: int) -> dict[str, bytes]:
        """Return a version's sample pictures by name, if it has any; those of a few versions stay in memory.

        Raises UnknownModel if there is no such model or version, and Unavailable if they cannot be fetched
        now.
        """
        key = (name, version, self.resolve(name, version, None).content_key)
        found = self._samples.get(key)
        if found is None:
            try:
                found = self._source.samples(name, version)
            except (SourceError, ArtifactError) as error:
                raise Unavailable(f"{name}: version {version}: {error.reason}") from error
            self._samples = dict([*self._samples.items(), (key, found)][-MOST_SAMPLED:])
        return found

    def problems(self) -> list[str]:
        """Return what is wrong, one sentence each; empty when all is well.

        Anybody may read them: they hold no paths, and nothing that others wrote.
        """
        if self._state is None and not self._source_problem:
            return ["the registry was not read yet"]
        return [problem for problem in (self._source_problem, *self._alias_problems) if problem]

    @property
    def ready(self) -> bool:
        """Whether all configured names have a warmed-up champion; without names, all that can have one."""
        champions = {name for name, alias in self._memory.aliases() if alias == CHAMPION}
        return (
            champions.issuperset(self._names) if self._names else self._settled.is_set() and bool(champions)
        )

    def observe_loads(self, observer: LoadObserver) -> None:
        """Call `observer` after every attempt to load a version, in the thread that made it."""
        self._loader.observer = observer

    def start(self) -> None:
        """Follow the registry in a thread until `stop`; usually, champions are loaded when this returns."""
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self._thread.start()
        self._settled.wait(START_TIMEOUT_S)

    def stop(self) -> None:
        """Stop following; loaded versions stay. A hanging request to the registry may delay this by 5 s."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._ask()
                self._follow()
            except Exception as error:  # the thread must not end: nobody would notice
                self._source_problem = f"following the registry failed ({type(error).__name__}); it goes on"
                self._tell(self._source_problem, exc_info=error)
            self._settled.set()
            self._told.intersection_update(self.problems())
            self._stopping.wait(self._poll_s)

    def _tell(self, problem: str, more: str = "", exc_info: Exception | None = None) -> str:
        """Log a problem once for as long as it lasts, and return it."""
        if problem not in self._told:
            self._told.add(problem)
            log.warning("%s", show(more or problem, MOST_LOGGED), exc_info=exc_info)
        return problem

    def _ask(self) -> None:
        try:
            state = self._source.read(self._names)
        except SourceError as error:
            self._away = True
            self._source_problem = self._tell(error.reason, f"{error}; what is known goes on being served")
            # The copy's state is older than any that the registry gave.
            self._state = self._state or self._copy.read_state()
            return
        if self._away:
            self._away = False
            log.warning("the registry answers again")
            # Whatever failed while the registry was away may succeed now.
            self._loader.forget_failures()
        self._source_problem = ""
        if state != self._state:
            self._state = state
            self._save(state)

    def _save(self, state: RegistryState) -> None:
        try:
            self._copy.write_state(state)
        except OSError as error:
            log.warning("no start without the registry: its state cannot be kept (%s): choose --copy", error)

    def _follow(self) -> None:
        if (state := self._state) is None:
            return
        names = self._names or tuple(state.models)

        def alias_known(name: str, alias: str) -> bool:
            return name in names and (alias == CHAMPION or find_alias(state, name, alias) is not None)

        def known(served: ServedVersion) -> bool:
            model = state.models.get(served.name)
            registered = model.versions.get(served.version) if model else None
            return registered is not None and served.is_still(registered)

        self._memory.retain(known, alias_known)
        others = [key for key in self._memory.aliases() if key[1] != CHAMPION]
        followed = [*((name, CHAMPION) for name in names), *others]
        problems = [problem for key in followed if (problem := self._update(state, *key))]
        if not names:
            problems.append(self._tell(NOTHING, f"{NOTHING}: register one, and promote it"))
        self._alias_problems = problems

    def _update(self, state: RegistryState, name: str, alias: str) -> str | None:
        """Bring an alias up to date; return what is wrong with it, if anything."""
        current, wanted = self._memory.peek(name, None, alias), find_alias(state, name, alias)
        goes_on = f"; version {current.version} goes on serving" if current else ""
        if wanted is None:
            there = name in state.models
            missing = f"has no alias {alias}" if there else "is not registered"
            cure = f"`modelyard promote {name} VERSION`" if there else f"register it ({list_known(state)})"
            return self._tell(f"{name} {missing}{goes_on}", f"{name} {missing}: {cure}{goes_on}")
        if (current and current.is_still(wanted)) or self._stopping.is_set():
            return None
        try:
            self._loader.load(name, wanted, alias)
        except Unavailable as error:
            return f"{name}@{alias}: {error}{goes_on}"
        return None

    def _demand(self, name: str, version: int | None, alias: str | None) -> ServedVersion:
        if version is not None and alias is not None:
            raise ValueError(f"expected a version or an alias, got {version} and {alias!r}")
        wanted = self.resolve(name, version, alias)
        if version is None and alias in (None, CHAMPION):
            reason = "; ".join(self.problems()) or "it is being loaded"
            raise Unavailable(f"{name}@{CHAMPION} is not loaded: {reason}")
        try:
            return self._loader.load(name, wanted, alias)
        except Unavailable as error:
            raise Unavailable(f"{name}: {error}") from error
