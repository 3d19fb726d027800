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
        reason = str(error).splitlines()[0][:LONGEST] if str(error) else type(error).__name__
        return f"the tracking store failed ({reason}): see to it, then run again"
    if isinstance(error, OSError) and error.errno in FULL + CLOSED:
        advice = "make room" if error.errno in FULL else "make it writable"
        return f"{error.strerror}: {error.filename or 'a file'}: {advice}, then run again"
    return None
