"""Filters that are computed from patches of pictures."""

import numpy as np

from made_digits import make_digits
from modelyard.training.whitening import STRIDE, take_patches, whiten_patches

PICTURES = make_digits(50).levels[..., None]


def test_answers_are_uncorrelated_and_of_the_same_variance() -> None:
    filters = whiten_patches(PICTURES, 3, 6)
    windows = np.lib.stride_tricks.sliding_window_view(PICTURES[..., 0] / 255, (3, 3), axis=(1, 2))
    patches = windows[:, ::STRIDE, ::STRIDE].reshape(-1, 9)
    answers = np.cov(patches @ filters.reshape(9, 6)[:, :3], rowvar=False)
    np.testing.assert_allclose(answers - np.diag(np.diag(answers)), 0, atol=1e-3)
    # Below one by what keeps weak components from growing into noise.
    assert np.all((np.diag(answers) > 0.8) & (np.diag(answers) <= 1))


def test_each_filter_comes_with_its_negative() -> None:
    filters = whiten_patches(PICTURES, 5, 16)
    assert (filters.shape, filters.dtype) == ((5, 5, 1, 16), np.float32)
    np.testing.assert_array_equal(filters[..., :8], -filters[..., 8:])


def test_pictures_without_anything_on_them_give_finite_filters() -> None:
    assert np.isfinite(whiten_patches(np.zeros_like(PICTURES), 3, 4)).all()


def test_colour_has_filters_over_all_channels_with_the_same_promise() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (60, 20, 24, 3)).astype(np.uint8)
    # Three channels that say much the same, as those of a photo do.
    colour[..., 1:] = colour[..., :1] // 2 + colour[..., 1:] // 4
    filters = whiten_patches(colour, 3, 6)
    assert filters.shape == (3, 3, 3, 6)
    windows = np.lib.stride_tricks.sliding_window_view(colour / 255, (3, 3), axis=(1, 2))
    patches = windows[:, ::STRIDE, ::STRIDE].transpose(0, 1, 2, 4, 5, 3).reshape(-1, 27)
    answers = np.cov(patches @ filters.reshape(27, 6)[:, :3], rowvar=False)
    np.testing.assert_allclose(answers - np.diag(np.diag(answers)), 0, atol=1e-3)
    assert np.all((np.diag(answers) > 0.8) & (np.diag(answers) <= 1))


def test_large_pictures_are_looked_at_in_as_many_places_as_small_ones() -> None:
    large = np.random.default_rng(0).integers(0, 256, (50, 120, 80, 3)).astype(np.uint8)
    patches = take_patches(large, 5)
    assert patches.shape[1] == 75
    assert len(patches) < 2 * len(take_patches(PICTURES, 5))
    # The last ones are of the corner on the other side, or near it.
    np.testing.assert_array_equal(patches[-1].reshape(5, 5, 3), large[-1, 108:113, 72:77] / np.float32(255))
