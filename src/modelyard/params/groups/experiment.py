"""Where an experiment differs from conf/: written by the compose stage, not a file in conf/."""

from typing import Any

from modelyard.params.group import Group


class Difference(Group):
    """One value of an experiment: in conf/, and here; a side without the key is left out."""

    conf: Any = None
    here: Any = None
