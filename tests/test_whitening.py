"""Filters that are computed from patches of pictures."""

import numpy as np

from made_digits import make_digits
from modelyard.training.whitening import EVERY, whiten_patches

PICTURES = make_digits(50).images[..., None]


def test_answers_are_uncorrelated_and_of_the_same_variance() -> None:
    filters = whiten_patches(PICTURES, 3, 6)
    windows = np.lib.stride_tricks.sliding_window_view(PICTURES[..., 0] / 255, (3, 3), axis=(1, 2))
    patches = windows[:, ::EVERY, ::EVERY].reshape(-1, 9)
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
