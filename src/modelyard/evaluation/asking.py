"""A bundle asked about many pictures, by several processes where one would take long."""

import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from tqdm import tqdm

from modelyard.errors import ModelyardError
from modelyard.images.crops import Samples
from modelyard.images.pictures import LIMITS, Pictures
from modelyard.inference.bundle import read_bundle
from modelyard.inference.decoding.formats import NAMES
from modelyard.inference.decoding.images import ImageError
from modelyard.inference.predictor import Predictor
from modelyard.inference.runtime.interpreters import ModelError
from modelyard.inference.runtime.processors import count_processors
from modelyard.processes import end_with_parent

Files: TypeAlias = Pictures | Samples
R = TypeVar("R")
# A function of a module, or a `functools.partial` of one: another process has to find it.
Ask: TypeAlias = Callable[[Predictor, Files, int], R]
# After this many seconds, progress is shown; and work that takes no longer is not worth other processes.
PATIENCE_S = 2.0
# Each holds the network's weights once more.
MOST_PROCESSES = 4
# Of places, so that a process is not asked for each one; fewer where that leaves no work for the others.
MOST_AT_ONCE, SHARES = 32, 4


def ask_for_all(
    ask: Ask[R], predictor: Predictor, files: Files, places: Sequence[int], title: str, seconds: float
) -> list[R]:
    """Return what `ask` makes of each of the places, in their order.

    `seconds` is roughly what this process alone would need; the answers do not depend on it. Raises
    ModelyardError if a file cannot be read, the bundle cannot answer, or a process was killed.
    """
    processes = min(count_processors(), MOST_PROCESSES) if seconds > PATIENCE_S else 1
    with ExitStack() as stack:
        given: Iterable[R] = (_ask_one(ask, predictor, files, place) for place in places)
        if processes > 1:
            setting = (ask, predictor.bundle.folder, files)
            # Spawned, since a forked process may hang on a lock that a thread of this one held.
            pool = ProcessPoolExecutor(processes, get_context("spawn"), _set_up, setting)
            portion = min(MOST_AT_ONCE, -(-len(places) // (SHARES * processes)))
            given = stack.enter_context(pool).map(_ask_here, places, chunksize=portion)
        # Nothing is shown unless stderr is a terminal.
        bar = tqdm(given, title, len(places), unit="picture", file=sys.stderr, delay=PATIENCE_S, disable=None)
        try:
            return list(bar)
        except BrokenProcessPool:
            raise ModelyardError(
                f"{predictor.bundle.folder}: a process that was using it was killed, perhaps "
                "because memory ran out: close other programs and run again"
            ) from None


_setting: Any = None


def _set_up(ask: Ask[Any], folder: Path, files: Files) -> None:
    global _setting  # this process's own
    end_with_parent()
    # Two threads within a network are slower than two processes with one thread each, and answer the same.
    _setting = ask, Predictor(read_bundle(folder), interpreters=1, threads=1, limits=LIMITS), files


def _ask_here(place: int) -> Any:
    ask, predictor, files = _setting
    return _ask_one(ask, predictor, files, place)


def _ask_one(ask: Ask[R], predictor: Predictor, files: Files, place: int) -> R:
    try:
        return ask(predictor, files, place)
    except ImageError as error:
        raise ModelyardError(f"{files.name(place)}: expected a {NAMES}, got {error.reason}") from error
    except ModelError as error:
        raise ModelyardError(f"{predictor.bundle.folder}: {error}: package it again") from error
