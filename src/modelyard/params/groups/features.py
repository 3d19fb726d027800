"""features: the imported network's features of pictures."""

from modelyard.params.group import Group
from modelyard.params.groups.package import Precision


class Features(Group):
    """How features are computed if the model's input is `features`, in training and serving alike."""

    precision: Precision
