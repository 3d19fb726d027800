"""Text that may come from anybody: what can be shown everywhere, and how the rest is escaped."""

import re

# The most characters of a name; ImageNet's longest has 121.
MOST_CHARACTERS = 300
# Control characters, line ends, marks that change the direction of text, and lone surrogates.
_NOT_PLAIN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def is_plain(text: object) -> bool:
    """Return whether this is text of at most 300 characters that JSON, terminals and pages show unchanged."""
    return isinstance(text, str) and len(text) <= MOST_CHARACTERS and not _NOT_PLAIN.search(text)


def escape(text: str, kept: str = "") -> str:
    r"""Return text with everything else than plain characters escaped as Python does: `\x1b`, `\ud800`.

    The characters in `kept` stay as they are: a text of several lines keeps "\n".
    """
    return _NOT_PLAIN.sub(lambda found: found[0] if found[0] in kept else ascii(found[0])[1:-1], text)


def show(text: object, most: int = MOST_CHARACTERS) -> str:
    """Return text in one line of at most about `most` characters, escaped."""
    full = str(text)
    return escape(full) if len(full) <= most else f"{escape(full[:most])}..."
