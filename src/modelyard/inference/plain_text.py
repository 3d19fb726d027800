"""Text that may come from anybody: what of it can be written everywhere, and how the rest is shown."""

import re

# Of a name: the longest of ImageNet's has 121.
MOST_CHARACTERS = 300
# Controls, ends of lines, marks that turn the direction of what follows, and halves of a surrogate pair.
_NOT_PLAIN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def is_plain(text: object) -> bool:
    """Say whether this is text of at most 300 characters that JSON, a terminal and a page show as it is."""
    return isinstance(text, str) and len(text) <= MOST_CHARACTERS and not _NOT_PLAIN.search(text)


def show(text: object, most: int = MOST_CHARACTERS) -> str:
    r"""Return text in one line of bounded length; what is not plain is written as `\x1b` or `\ud800`."""
    full = str(text)
    plain = _NOT_PLAIN.sub(lambda found: found[0].encode("unicode_escape").decode(), full[:most])
    return plain if len(full) <= most else f"{plain}..."
