"""Heavy imports: without a search for garbage, and without what nothing here uses."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting() -> Iterator[None]:
    """Look for no garbage in the body, nor later among what it made.

    The classes of MLflow and TensorFlow live as long as a command; to look through them again and again, the
    last time when the interpreter ends, would take up to a third of its time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


@contextmanager
def left_out(*packages: str) -> Iterator[None]:
    """Let packages that nobody has imported yet be as if they were not installed."""
    absent = [name for name in packages if name not in sys.modules]
    # None is Python's own word for it.
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
