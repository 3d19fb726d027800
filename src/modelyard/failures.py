"""Failures that people can fix get one line, bugs a traceback."""

import errno
import sys

from modelyard.errors import ModelyardError, first_line
from modelyard.inference.bundle import BundleError
from modelyard.inference.plain_text import escape

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
LONGEST = 300
# Recognised by module, because importing MLflow takes more than a second.
STORES = ("mlflow", "sqlalchemy", "alembic", "sqlite3")


def explain(error: BaseException) -> str | None:
    """Return a line about an error that people can fix, or None for a bug.

    Those are a `ModelyardError`, a `BundleError`, a full disk, a file that may not be written, and a failing
    tracking store.
    """
    if isinstance(error, (ModelyardError, BundleError)):
        return escape(str(error), "\n")
    if type(error).__module__.split(".")[0] in STORES:
        reason = escape(shorten(first_line(error)))
        # Even reading writes SQLite's log beside the file.
        closed = "readonly database" in reason or "unable to open database" in reason
        cure = "make its file and folder writable" if closed else "check the store"
        return f"the tracking store failed ({reason}): {cure}, then run again"
    if isinstance(error, OSError) and error.errno in FULL + CLOSED:
        advice = "make room" if error.errno in FULL else "make it writable"
        return f"{error.strerror}: {escape(str(error.filename or 'a file'))}: {advice}, then run again"
    return None


def warn(message: str) -> None:
    """Print a warning of one line to stderr."""
    print(f"warning: {escape(message)}", file=sys.stderr)


def shorten(text: str, most: int = LONGEST) -> str:
    """Return both ends of a text longer than `most` characters, because the cause often comes last."""
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"
