"""Splits: the same share of every class, by a seed alone, with copies kept together."""

import numpy as np
import pytest

from modelyard.errors import ModelyardError
from modelyard.images.splits import choose_part, refuse_empty_classes


def with_sizes(*sizes: int) -> np.ndarray:
    """Make as many labels of each class as `sizes` say, in a mixed order."""
    labels = np.repeat(np.arange(len(sizes), dtype=np.uint8), sizes)
    return np.random.default_rng(3).permutation(labels)


def count(labels: np.ndarray, classes: int) -> list[int]:
    return np.bincount(labels, minlength=classes).tolist()


def test_every_class_gives_the_same_share_and_the_largest_remainder_is_rounded_up() -> None:
    labels = with_sizes(100, 50, 50, 50, 50, 50, 50, 50, 50, 7)
    chosen = choose_part(labels, 51, 0, "data.validation")
    # 51 of 507: shares 10.06, 5.03 eight times, 0.70; the last is rounded up.
    assert count(labels[chosen], 10) == [10, 5, 5, 5, 5, 5, 5, 5, 5, 1]


def test_the_pictures_chosen_for_a_seed_stay_the_same_for_ever() -> None:
    """MNIST's validation pictures hang on this: published accuracies were measured with them."""
    labels = np.tile(np.arange(3, dtype=np.uint8), 7)
    chosen = np.flatnonzero(choose_part(labels, 6, 0, "data.validation"))
    assert chosen.tolist() == [5, 6, 7, 8, 12, 16]


def test_another_seed_chooses_others() -> None:
    labels = with_sizes(50, 50)
    first, again, other = (choose_part(labels, 20, seed, "data.test") for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_share_is_a_share_of_all_pictures() -> None:
    labels = with_sizes(30, 70)
    assert count(labels[choose_part(labels, 0.2, 0, "data.test")], 2) == [6, 14]


@pytest.mark.parametrize("part", [67, 68])
def test_a_number_that_leaves_nothing_is_refused(part: int) -> None:
    with pytest.raises(
        ModelyardError, match=rf"data.validation: expected 1 to 66 of 67 pictures, got {part}"
    ):
        choose_part(with_sizes(33, 34), part, 0, "data.validation")


@pytest.mark.parametrize("part", [2, 0.02, 0.5])
def test_a_small_class_gives_one_picture_and_keeps_what_further_splits_need(part: int | float) -> None:
    labels = with_sizes(100, 3, 2)
    first = choose_part(labels, part, 0, "data.test", keep=2)
    assert count(labels[first], 3)[1:] == [1, 0]
    rest = labels[~first]
    second = choose_part(rest, part, 0, "data.validation", keep=1)
    assert count(rest[second], 3)[1:] == [1, 1]
    assert count(rest[~second], 3)[1:] == [1, 1]


def test_a_class_without_pictures_is_passed_over() -> None:
    labels = with_sizes(0, 5, 5)
    assert count(labels[choose_part(labels, 2, 0, "data.validation")], 3) == [0, 1, 1]


@pytest.mark.parametrize("seed", range(20))
def test_copies_stay_together(seed: int) -> None:
    random = np.random.default_rng(seed)
    groups = random.integers(0, 60, 200)
    labels = (groups % 4).astype(np.uint8)
    chosen = choose_part(labels, 0.3, seed, "data.test", groups)
    assert set(groups[chosen]).isdisjoint(groups[~chosen])
    assert 40 <= chosen.sum() <= 60
    assert min(count(labels[chosen], 4)) > 0


def test_copies_count_as_one_picture_where_there_are_few() -> None:
    labels = np.array([0] * 6 + [1] * 6, np.uint8)
    # Of the first class two pictures, three copies of each; of the second one with six copies.
    groups = np.array([0, 0, 0, 1, 1, 1] + [2] * 6)
    chosen = choose_part(labels, 2, 0, "data.test", groups)
    assert sorted(groups[chosen]) in ([0, 0, 0], [1, 1, 1])


def test_a_split_that_lacks_a_class_names_it() -> None:
    refuse_empty_classes(np.array([0, 1, 2], np.uint8), ("ant", "bee", "cow"), "test")
    with pytest.raises(ModelyardError, match=r"each of 3 classes in the test split, .* of bee, cow: add"):
        refuse_empty_classes(np.array([0], np.uint8), ("ant", "bee", "cow"), "test")
