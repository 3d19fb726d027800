"""Corruptions: each changes any picture, the same way every time, and more when it is stronger."""

import numpy as np
import pytest

from modelyard.evaluation.corruptions import KINDS, STRENGTHS, Pixels, corrupt, reduce_photo
from modelyard.params import Corruptions
from tflite_models import draw_band

# The mean level of `draw_ring`, corrupted in the second strength.
MEANS = {
    "noise": 74.6,
    "impulse_noise": 73.4,
    "blur": 66.2,
    "motion_blur": 66.1,
    "pixelate": 66.1,
    "jpeg": 66.4,
    "brightness": 160.1,
    "contrast": 65.8,
    "fog": 130.1,
    "rotate": 66.1,
    "shear": 66.1,
    "scale": 37.6,
    "translate": 66.1,
    "spatter": 76.5,
    "line": 71.6,
}


def draw_ring(height: int, width: int, channels: int | None = None) -> Pixels:
    """A light ring left of the middle on dark ground, in one colour or in three."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot((y - height / 2) / height, (x - width / 2.5) / width)
    grey = np.where((distance > 0.2) & (distance < 0.35), 230, 10).astype(np.uint8)
    return grey if channels is None else np.stack([grey, grey // 2, 255 - grey], axis=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(28, 28), (1, 1), (5, 90), (40, 30, 3)])
def test_a_copy_has_the_shape_of_its_picture_which_stays_as_it_is(kind: str, shape: tuple[int, ...]) -> None:
    pixels = draw_ring(*shape)
    before = pixels.copy()
    for strength in range(1, STRENGTHS + 1):
        copy = corrupt(pixels, kind, strength, (0, 1))
        assert (copy.shape, copy.dtype) == (pixels.shape, np.uint8)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("kind", KINDS)
def test_every_strength_changes_a_picture_more_than_the_one_before(kind: str) -> None:
    pixels = draw_ring(60, 60, 3)
    # Chance places a spot or a line, so the mean over some pictures counts.
    changes = [
        np.mean([np.abs(corrupt(pixels, kind, strength, (0, n)) - pixels.astype(float)) for n in range(12)])
        for strength in range(1, STRENGTHS + 1)
    ]
    assert 0.5 < changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_and_a_place_give_the_same_picture_on_every_machine(kind: str) -> None:
    copy = corrupt(draw_ring(28, 28), kind, 2, (0, 7))
    np.testing.assert_array_equal(copy, corrupt(draw_ring(28, 28), kind, 2, (0, 7)))
    assert copy.mean() == pytest.approx(MEANS[kind], abs=0.2)


@pytest.mark.parametrize("kind", ["noise", "impulse_noise", "fog", "spatter", "line"])
def test_another_picture_meets_another_chance(kind: str) -> None:
    copies = [corrupt(draw_band(3), kind, 3, seed) for seed in ((0, 1), (0, 2), (1, 1))]
    assert len({copy.tobytes() for copy in copies}) == 3


def test_what_is_moved_over_the_border_leaves_the_ground_of_the_border_behind() -> None:
    light = 255 - draw_ring(40, 40)
    for kind in ("rotate", "shear", "scale", "translate"):
        assert corrupt(light, kind, 3, (0, 0))[[0, 0, -1, -1], [0, -1, 0, -1]].min() == 245


def test_spots_and_lines_are_dark_on_light_paper_and_light_on_dark() -> None:
    for kind in ("spatter", "line"):
        assert corrupt(np.full((30, 30), 20, np.uint8), kind, 2, (0, 0)).max() == 255
        assert corrupt(np.full((30, 30, 3), 220, np.uint8), kind, 2, (0, 0)).min() == 0


def test_a_photo_is_made_smaller_first_and_a_small_picture_is_not() -> None:
    assert reduce_photo(np.zeros((3000, 4000, 3), np.uint8)).shape == (334, 445, 3)
    assert reduce_photo(np.zeros((639, 5000), np.uint8)).shape == (639, 5000)
    assert reduce_photo(np.zeros((28, 28), np.uint8)).shape == (28, 28)


def test_every_kind_can_be_named_in_conf() -> None:
    assert Corruptions(pictures=1, kinds=tuple(KINDS), seed=0).kinds == tuple(KINDS)
