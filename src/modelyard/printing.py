"""Text of unknown origin as a terminal, a page or a file may have it: names, labels and reasons of others."""

import re

# Control characters, those that turn the direction of what follows, and halves of surrogate pairs.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def escape(text: str, kept: str = "") -> str:
    r"""Show characters that would do something, or that UTF-8 lacks, as Python writes them: `\x1b`.

    Args:
        text: any.
        kept: those of these characters that stay as they are: a text of several lines keeps "\n".
    """
    return _UNPRINTABLE.sub(lambda found: _show(found[0], kept), text)


def _show(character: str, kept: str) -> str:
    return character if character in kept else ascii(character)[1:-1]
