"""Values from the registry, as JSON and Prometheus can hold them."""

import math
from typing import Any

_MOST = 2**63 - 1


def make_plain(value: Any) -> Any:
    """Return a value of dicts, lists and scalars that can be written.

    NaN, infinity and numbers beyond 64 bits become None, a lone surrogate becomes a question mark, and any
    other kind of value becomes its text.
    """
    match value:
        case None | bool():
            return value
        case str():
            return value if value.isascii() else value.encode("utf-8", "replace").decode()
        case int():
            return value if -_MOST <= value <= _MOST else None
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {make_plain(str(key)): make_plain(held) for key, held in value.items()}
        case list() | tuple():
            return [make_plain(held) for held in value]
    return make_plain(str(value))


def shorten(texts: list[str], most: int, most_characters: int) -> list[str]:
    """Return the first `most` texts, each cut to `most_characters`, and how many more there are."""
    shown = [make_plain(text)[:most_characters] for text in texts[:most]]
    return [*shown, f"and {len(texts) - most} more"] if len(texts) > most else shown
