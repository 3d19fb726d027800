"""features: what the imported network says of digits."""

from modelyard.params.group import Group, Positive


class Features(Group):
    """Which digits get features, where the model's input is `inception_features`.

    Attributes:
        validation_images: so many of the validation images, the first ones; null is all.
    """

    validation_images: Positive | None
