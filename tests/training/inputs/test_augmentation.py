"""Augmentation: pictures change within what is asked for, the same seed in the same way."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from modelyard.params import Augmentation
from modelyard.training.inputs.augmentation import augment, displace, sample

NOTHING = dict.fromkeys(Augmentation.model_fields, 0.0)
SEED = tf.constant([1, 2], tf.int64)


def asked(**amounts: float) -> Augmentation:
    return Augmentation(**{**NOTHING, **amounts})


@pytest.fixture
def pictures() -> Any:
    """Sixteen different rectangles of light, far from the border."""
    made = np.zeros((16, 28, 28, 1), np.uint8)
    for number, picture in enumerate(made):
        picture[8 : 14 + number % 4, 9 : 13 + number // 4] = 100 + 9 * number
    return made


def test_nothing_asked_changes_nothing(pictures: Any) -> None:
    assert not asked().changes_pictures
    np.testing.assert_array_equal(augment(pictures, asked(), SEED), pictures)


@pytest.mark.parametrize("amount", NOTHING)
def test_every_amount_changes_pictures_by_itself(pictures: Any, amount: str) -> None:
    how = asked(**{amount: 3.0 if amount in ("shift_pixels", "rotate_degrees", "elastic_pixels") else 0.5})
    assert how.changes_pictures
    changed = augment(pictures, how, SEED).numpy()
    assert changed.shape == pictures.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, pictures)


def test_every_picture_is_changed_in_its_own_way(pictures: Any) -> None:
    same = np.repeat(pictures[:1], 8, axis=0)
    changed = augment(same, asked(shift_pixels=3.0), SEED).numpy()
    assert len({picture.tobytes() for picture in changed}) == 8


def test_the_seed_decides(pictures: Any) -> None:
    how = asked(shift_pixels=2.0, rotate_degrees=15.0, scale=0.2, elastic_pixels=2.0)
    first = augment(pictures, how, SEED).numpy()
    np.testing.assert_array_equal(augment(pictures, how, SEED), first)
    assert not np.array_equal(augment(pictures, how, SEED + 1), first)


def test_no_place_is_drawn_from_farther_than_asked() -> None:
    rows, columns = displace(tf.constant([64, 28, 28, 1]), asked(shift_pixels=2.0), SEED)
    away = np.abs(rows - np.arange(28)[None, :, None]), np.abs(columns - np.arange(28)[None, None, :])
    assert 1.5 < max(part.max() for part in away) <= 2.0


def test_a_turn_is_a_turn_around_the_middle() -> None:
    rows, columns = displace(tf.constant([64, 29, 29, 1]), asked(rotate_degrees=30.0), SEED)
    np.testing.assert_allclose(rows[:, 14, 14], 14, atol=1e-4)
    radius = np.hypot(np.asarray(rows) - 14, np.asarray(columns) - 14)
    expected = np.hypot(np.arange(29)[:, None] - 14, np.arange(29)[None, :] - 14)
    np.testing.assert_allclose(radius, np.broadcast_to(expected, radius.shape), atol=1e-3)


def test_a_sheared_row_moves_by_its_distance_from_the_middle() -> None:
    rows, columns = displace(tf.constant([64, 29, 29, 1]), asked(shear=0.2), SEED)
    np.testing.assert_array_equal(rows, np.broadcast_to(np.arange(29)[:, None], rows.shape))
    slants = (np.asarray(columns)[:, 28] - np.arange(29)) / 14
    assert 0.15 < np.abs(slants).max() <= 0.2
    np.testing.assert_allclose(np.asarray(columns)[:, 0] - np.arange(29), -14 * slants, atol=1e-4)


def test_sampling_is_bilinear_with_background_outside(pictures: Any) -> None:
    generator = np.random.default_rng(0)
    rows, columns = (generator.uniform(-4, 32, (16, 28, 28)).astype(np.float32) for _ in range(2))
    grey = pictures[..., 0].astype(np.float32)
    expected = [
        ndimage.map_coordinates(picture, [row, column], order=1, mode="grid-constant")
        for picture, row, column in zip(grey, rows, columns, strict=True)
    ]
    sampled = sample(grey[..., None], rows, columns)
    np.testing.assert_allclose(sampled[..., 0], expected, atol=0.2)


def test_the_colours_of_a_picture_that_is_no_square_move_together(pictures: Any) -> None:
    colour = np.concatenate([pictures[:, :20, :24]] * 3, axis=3)
    colour[..., 1] //= 2
    how = asked(shift_pixels=2.0, rotate_degrees=15.0, scale=0.2, elastic_pixels=2.0)
    changed = augment(colour, how, SEED).numpy()
    assert changed.shape == colour.shape
    assert not np.array_equal(changed, colour)
    np.testing.assert_array_equal(changed[..., 0], changed[..., 2])
    np.testing.assert_array_equal(changed[..., :1], augment(colour[..., :1], how, SEED))
    np.testing.assert_allclose(changed[..., 1], changed[..., 0] / 2, atol=1.5)


def test_levels_with_fractions_keep_them(pictures: Any) -> None:
    fractions = pictures.astype(np.float32) + np.float32(0.25) * (pictures > 0)
    how = asked(shift_pixels=2.0)
    changed = augment(fractions, how, SEED).numpy()
    assert changed.dtype == np.float32
    assert np.any(changed != np.round(changed))
    np.testing.assert_allclose(changed, augment(pictures, how, SEED).numpy(), atol=0.76)
    np.testing.assert_array_equal(augment(fractions, asked(), SEED), fractions)
