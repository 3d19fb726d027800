"""The errors that a person is meant to read."""


class ModelyardError(Exception):
    """Something outside the code is not as it should be.

    The message says what was expected, what came, and what to do; a stage prints it as its last line and
    stops with exit code 1, without a traceback.
    """


class UsageError(ModelyardError):
    """Something was asked for that there is not, or in a wrong way: the call must change, nothing else."""
