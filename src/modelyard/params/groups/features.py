"""features: what the imported network says of pictures."""

from modelyard.params.group import Group
from modelyard.params.groups.package import Precision


class Features(Group):
    """How the features are computed where the model's input is `features`; they are served alike."""

    precision: Precision
