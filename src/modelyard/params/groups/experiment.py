"""What an experiment chose other than conf/; the compose stage writes it, no file in conf/ has it."""

from typing import Any

from modelyard.params.group import Group


class Difference(Group):
    """One value of an experiment; a side that lacks the key is left out.

    Attributes:
        conf: what conf/ says.
        here: what the experiment chose.
    """

    conf: Any = None
    here: Any = None
