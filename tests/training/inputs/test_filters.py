"""Filters: strokes change as their names say, in a share of the batch, as the seed decides."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from modelyard.training.inputs.filters import FILTERS, blur, coarsen, filter_some, thicken, thin

SEED = tf.constant([1, 2], tf.int64)


@pytest.fixture
def bars() -> Any:
    """Twenty pictures of one bar, five pixels wide, away from the border."""
    made = np.zeros((20, 28, 24, 1), np.float32)
    made[:, 6:22, 9:14] = 200.0
    return made


def test_thick_and_thin_strokes_are_one_pixel_wider_and_narrower_on_either_side(bars: Any) -> None:
    assert (thicken(bars)[0, 14, :, 0].numpy() == 200).nonzero()[0].tolist() == list(range(8, 15))
    assert (thin(bars)[0, 14, :, 0].numpy() == 200).nonzero()[0].tolist() == list(range(10, 13))


def test_blur_is_two_averages_of_nine_pixels(bars: Any) -> None:
    expected = ndimage.uniform_filter(ndimage.uniform_filter(bars[0, ..., 0], 3), 3)
    np.testing.assert_allclose(blur(bars)[0, ..., 0], expected, atol=1e-3)


def test_coarse_pictures_keep_their_size_and_their_light_and_lose_what_is_fine(bars: Any) -> None:
    fine = bars.copy()
    fine[:, 6:22:2] = 0.0
    coarse = coarsen(fine).numpy()
    assert coarse.shape == fine.shape
    assert coarse.mean() == pytest.approx(fine.mean(), rel=0.05)
    assert np.abs(np.diff(coarse[0, :, 11, 0])).max() < 100 < np.abs(np.diff(fine[0, :, 11, 0])).max()


@pytest.mark.parametrize("name", FILTERS)
def test_a_share_of_the_batch_is_changed_each_picture_by_its_own_amount(bars: Any, name: str) -> None:
    shares = dict.fromkeys(FILTERS, 0.0) | {name: 0.25}
    changed = filter_some(bars, shares, SEED).numpy()
    different = [not np.array_equal(*pair) for pair in zip(changed, bars, strict=True)]
    assert sum(different) == 5
    assert len({picture.tobytes() for picture in changed}) == 6
    np.testing.assert_array_equal(filter_some(bars, shares, SEED), changed)
    assert not np.array_equal(filter_some(bars, shares, SEED + 1), changed)


def test_a_picture_goes_through_one_filter_at_most(bars: Any) -> None:
    shares = dict.fromkeys(FILTERS, 0.25)
    changed = filter_some(bars, shares, SEED).numpy()
    amounts = tf.random.stateless_uniform((20, 1, 1, 1), SEED).numpy()
    for part, filtered in enumerate(FILTERS.values()):
        some = slice(5 * part, 5 * part + 5)
        expected = bars[some] + amounts[some] * (filtered(bars[some]).numpy() - bars[some])
        np.testing.assert_allclose(changed[some], expected, atol=1e-3)


def test_an_empty_part_of_a_small_batch_changes_nothing(bars: Any) -> None:
    np.testing.assert_array_equal(filter_some(bars[:1], dict.fromkeys(FILTERS, 0.1), SEED), bars[:1])
