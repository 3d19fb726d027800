"""Cross-entropy with smoothed labels."""

import numpy as np
import pytest

LABELS = np.array([2, 0], np.uint8)
ANSWERS = np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]], np.float32)


def test_a_share_of_each_label_goes_to_all_classes_alike() -> None:
    from modelyard.training.loss import SmoothedCrossentropy

    smooth = 0.7 * np.eye(3)[LABELS] + 0.3 / 3
    by_hand = -(smooth * np.log(ANSWERS)).sum(axis=1).mean()
    assert float(SmoothedCrossentropy(0.3)(LABELS, ANSWERS)) == pytest.approx(by_hand, rel=1e-5)


def test_a_file_says_how_smooth_the_labels_were() -> None:
    import keras

    from modelyard.training.loss import SmoothedCrossentropy

    again = keras.losses.deserialize(keras.losses.serialize(SmoothedCrossentropy(0.3)))
    assert again.smoothing == 0.3
