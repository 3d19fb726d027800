"""Ids that say what they were given for: every worker and pod can read them, at once and forever."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# Random parts of ids that are drawn at once.
DRAWN = 256
_ID = re.compile(r"([A-Za-z0-9]{1,64})-([0-9]{1,18})-([0-9]{1,9})-([0-9a-f]{16})")


class Given(NamedTuple):
    """What an id was given for: a version's answer to a number of images."""

    model: str
    version: int
    images: int


class Ids:
    """Makes ids marked with version, number of images, and a keyed digest over these and the model.

    The key comes from the service's token, so that all its workers and pods have the same. Without a token
    the digest guards against mistakes alone; nobody else is kept out of such a service either.
    """

    def __init__(self, token: str | None) -> None:
        key = hashlib.sha256(f"modelyard feedback\n{token or ''}".encode()).digest()
        self._random = _draw_digits()
        # Copied for each id, which is quicker than a new one.
        self._keyed = hashlib.blake2b(digest_size=8, key=key)

    def make(self, model: str, version: int, images: int) -> str:
        """Make an id with the marks of what it is given for; see `Given`."""
        head = f"{next(self._random)}-{version}-{images}"
        return f"{head}-{self._digest(head, model)}"

    def read(self, marked: str, models: Iterable[str]) -> Given | None:
        """Return what an id was given for by one of these models; None if it was not."""
        found = _ID.fullmatch(marked)
        if found is None:
            return None
        head = marked.rpartition("-")[0]
        for model in models:
            if hmac.compare_digest(self._digest(head, model), found[4]):
                return Given(model, int(found[2]), int(found[3]))
        return None

    def _digest(self, head: str, model: str) -> str:
        digest = self._keyed.copy()
        digest.update(f"{head}\n{model}".encode("utf-8", "replace"))
        return digest.hexdigest()


def _draw_digits() -> Iterator[str]:
    """Give 16 random digits, in hex, as often as they are asked for; one thread may ask.

    The system is asked for many at once: for each answer, that would take longer than all the rest of its id.
    """
    while True:
        digits = secrets.token_hex(8 * DRAWN)
        yield from (digits[start : start + 16] for start in range(0, len(digits), 16))
