"""Text that may come from anybody: what of it can be written everywhere, and how the rest is shown."""

import re

# Of a name: the longest of ImageNet's has 121.
MOST_CHARACTERS = 300
# Controls, ends of lines, marks that turn the direction of what follows, and halves of a surrogate pair.
_NOT_PLAIN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def is_plain(text: object) -> bool:
    """Say whether this is text of at most 300 characters that JSON, a terminal and a page show as it is."""
    return isinstance(text, str) and len(text) <= MOST_CHARACTERS and not _NOT_PLAIN.search(text)


def escape(text: str, kept: str = "") -> str:
    r"""Return text with what is not plain in it written as Python writes it: `\x1b`, `\ud800`.

    Args:
        text: any.
        kept: characters that stay as they are: a text of several lines keeps "\n".
    """
    return _NOT_PLAIN.sub(lambda found: found[0] if found[0] in kept else ascii(found[0])[1:-1], text)


def show(text: object, most: int = MOST_CHARACTERS) -> str:
    """Return text in one line of at most about `most` characters, escaped."""
    full = str(text)
    return escape(full) if len(full) <= most else f"{escape(full[:most])}..."
