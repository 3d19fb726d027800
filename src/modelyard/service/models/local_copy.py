"""A copy of the served bundles on this machine, so that a service can start and run without the registry.

    bundles/<content key>/    a bundle, checked by its digest whenever it is read
    registry.json             the last known state of the registry

Several processes may share a folder when they serve the same names of the same registry.
"""

import contextlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from modelyard.files import replace_folder, write_json
from modelyard.inference.bundle import Bundle, BundleError, is_content_key, read_bundle
from modelyard.inference.bundle_files import copy_files
from modelyard.inference.plain_text import is_plain, show
from modelyard.service.models.registry_state import RegistryState, make_model, make_version

FORMAT = 1
LOCK_TIMEOUT_S = 300
# Bundles kept beside those in memory, so that a version that comes back is not fetched again.
MOST_SPARE = 8
# Another process may be loading a bundle that was used this recently.
USED_LATELY_S = 3600

log = logging.getLogger(__name__)


class LocalCopy:
    """Copies of bundles by content key, and the last known state of the registry."""

    def __init__(self, folder: Path) -> None:
        self._bundles = folder / "bundles"
        self._state = folder / "registry.json"

    def read_state(self) -> RegistryState | None:
        """Return the last known state; None if there is none that can be read."""
        try:
            return _to_state(json.loads(self._state.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            log.warning("%s cannot be used (%s): the registry is needed", self._state, show(repr(error)))
            return None

    def write_state(self, state: RegistryState) -> None:
        """Write the state whole or not at all; an OSError says why it cannot be written."""
        write_json(self._state, _to_plain(state))

    def read(self, content_key: str) -> Bundle | None:
        """Return the copy of a bundle, if there is one. A corrupted copy is removed and logged.

        Raises ValueError if this is not a content key.
        """
        folder = self._find(content_key)
        if not folder.is_dir():
            return None
        try:
            bundle = read_bundle(folder)
            bundle.verify(content_key)
        except BundleError as error:
            log.warning("a corrupted copy is removed: %s", show(error))
            _remove(folder)
            return None
        # Tells `prune` when it was last used; a read-only folder is never pruned.
        with contextlib.suppress(OSError):
            os.utime(folder)
        return bundle

    def fetch(self, content_key: str, download: Callable[[Path], Path]) -> Bundle:
        """Return the copy of a bundle; one that is missing or corrupted is downloaded.

        Processes that share the folder download it once. `download` fetches the bundle into the given folder,
        and returns the bundle's place.

        Raises:
            BundleError: the download is not the bundle with this content key.
            OSError: the copy cannot be written, or another process holds its lock.
            ValueError: this is not a content key.
            Exception: whatever `download` raises.
        """
        if bundle := self.read(content_key):
            return bundle
        # Slow to import, and seldom needed.
        from filelock import FileLock

        self._bundles.mkdir(parents=True, exist_ok=True)
        with FileLock(self._bundles / f"{content_key}.lock", timeout=LOCK_TIMEOUT_S):
            if bundle := self.read(content_key):
                return bundle
            with tempfile.TemporaryDirectory(prefix=".download.", dir=self._bundles) as beside:
                came = download(Path(beside))
                read_bundle(came).verify(content_key)
                with replace_folder(self._find(content_key)) as new:
                    copy_files(came, new)
        return read_bundle(self._find(content_key))

    def prune(self, in_use: Collection[str]) -> None:
        """Remove the least recently used bundles except those in use, and downloads of killed processes."""
        idle = [path for path in self._bundles.glob("*") if path.is_dir() and path.name not in in_use]
        whole = [path for path in idle if is_content_key(path.name)]
        half = [path for path in idle if path.name.startswith(".")]
        spare = sorted(whole, key=_used_at, reverse=True)[:MOST_SPARE]
        for path in [*whole, *half]:
            if path not in spare and time.time() - _used_at(path) > USED_LATELY_S:
                _remove(path)

    def _find(self, content_key: str) -> Path:
        # A registry may hold any text; nothing but a content key becomes part of a path.
        if not is_content_key(content_key):
            raise ValueError(f"expected a content key of 64 hex digits, got {show(repr(content_key), 100)}")
        return self._bundles / content_key


def _remove(folder: Path) -> None:
    """Remove a folder, but neither a link nor its target."""
    if not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)


def _used_at(folder: Path) -> float:
    """Return when a folder was last used, in seconds since 1970; 0 if another process has removed it."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _to_plain(state: RegistryState) -> dict[str, Any]:
    models = {
        model.name: {
            "aliases": dict(model.aliases),
            "versions": [
                {"version": one.version, "tags": dict(one.tags), "metrics": dict(one.metrics)}
                for one in model.versions.values()
            ],
        }
        for model in state.models.values()
    }
    return {"format": FORMAT, "models": models, "others": list(state.others)}


def _to_state(plain: Any) -> RegistryState:
    if plain["format"] != FORMAT:
        raise ValueError(f"expected format {FORMAT}, found {plain['format']!r}")
    models = {}
    for name, model in plain["models"].items():
        versions = [make_version(one["version"], one["tags"], one["metrics"]) for one in model["versions"]]
        models[name] = make_model(name, model["aliases"], versions)
    return RegistryState(models, tuple(filter(is_plain, plain["others"])))
