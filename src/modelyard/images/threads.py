"""Slow work on many pictures, on all processors, with a progress bar."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from modelyard.inference.runtime.processors import count_processors

T = TypeVar("T")
R = TypeVar("R")
# Fewer take only seconds.
MANY = 1000
# Each holds one decoded picture: about 150 MB for a photo of 12 megapixels.
MOST_WORKERS = 8


def count_workers() -> int:
    """Return how many items `work_through` works on at a time."""
    return min(count_processors(), MOST_WORKERS)


def work_through(do: Callable[[T], R], items: Sequence[T], title: str) -> list[R]:
    """Call `do` for each picture, several at a time, and return the results in order.

    Pillow decodes, and hashlib digests, without Python's lock, so threads use all processors. The first error
    ends the work. The bar shows after a second; if stderr is no terminal, one line is printed.
    """
    terminal = sys.stderr.isatty()
    if len(items) > MANY and not terminal:
        print(f"{title}: {len(items):,} pictures", file=sys.stderr, flush=True)
    with ThreadPoolExecutor(count_workers()) as pool:
        done = pool.map(do, items)
        bar = tqdm(done, title, len(items), unit="picture", delay=1, file=sys.stderr, disable=not terminal)
        return list(bar)
