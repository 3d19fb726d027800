"""What a person can mend, told from a bug: one line for the one, a traceback for the other."""

import errno

from modelyard.errors import ModelyardError
from modelyard.inference.bundle import BundleError

FULL = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
LONGEST = 300
# Told by its module: to import MLflow costs more than a second.
STORES = ("mlflow", "sqlalchemy")


def explain(error: BaseException) -> str | None:
    """Return the line for what a person can mend, None for a bug.

    That is a `ModelyardError`, a `BundleError`, a full disk, a file that may not be written, and a tracking
    store that fails.
    """
    if isinstance(error, (ModelyardError, BundleError)):
        return str(error)
    if type(error).__module__.split(".")[0] in STORES:
        return f"the tracking store failed ({_give_reason(error)}): see to it, then run again"
    if isinstance(error, OSError) and error.errno in FULL + CLOSED:
        advice = "make room" if error.errno in FULL else "make it writable"
        return f"{error.strerror}: {error.filename or 'a file'}: {advice}, then run again"
    return None


def _give_reason(error: BaseException) -> str:
    """The first line of an error's text; of a long one, both ends, for the cause often comes last."""
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    if len(reason) <= LONGEST:
        return reason
    return f"{reason[: LONGEST // 2]} ... {reason[-LONGEST // 2 :]}"
