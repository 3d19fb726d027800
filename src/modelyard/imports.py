"""Heavy imports: without garbage collection, and without packages that nothing here uses."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting() -> Iterator[None]:
    """Turn garbage collection off in the body, and leave what it made out of later collections.

    The classes of MLflow and TensorFlow live as long as a command. Looking through them again and again, also
    when the interpreter ends, would take up to a third of its time.
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
    """Hide packages that nobody has imported yet, as if they were not installed."""
    absent = [name for name in packages if name not in sys.modules]
    # Python takes None to mean that a module is not there.
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
