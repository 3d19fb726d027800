"""Digits in memory, in a file, in two splits, and as pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelyard.images.dataset import Digits, read_digits, split, write_digits
from modelyard.images.samples import write_samples
from modelyard.errors import ModelyardError


def make_digits(count: int = 67, seed: int = 0) -> Digits:
    """Make noise; the label also stands in the first pixel, so that a mix-up shows."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, count, dtype=np.uint8)
    images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    images[:, 0, 0] = labels
    return Digits(images, labels)


def with_sizes(*sizes: int) -> Digits:
    """Make as many of each digit as `sizes` say, in a mixed order."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), sizes)
    labels = np.random.default_rng(3).permutation(labels)
    return Digits(np.zeros((len(labels), 28, 28), np.uint8), labels)


@pytest.mark.parametrize(
    ("images", "labels", "reason"),
    [
        (np.zeros((3, 28, 27), np.uint8), np.zeros(3, np.uint8), r"images: expected uint8 \(n, 28, 28\)"),
        (np.zeros((3, 28, 28), np.float32), np.zeros(3, np.uint8), "images: .* got float32"),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(2, np.uint8), r"labels: expected uint8 \(3,\), got .*2"),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.int64), "labels: .* got int64"),
        (np.zeros((3, 28, 28), np.uint8), np.array([0, 9, 10], np.uint8), r"labels: expected 0\.\.9, got 10"),
    ],
)
def test_what_is_not_digits_is_refused(images: np.ndarray, labels: np.ndarray, reason: str) -> None:
    with pytest.raises(ModelyardError, match=reason):
        Digits(images, labels)


def test_the_digest_tells_images_labels_and_their_order_apart() -> None:
    digits = make_digits()
    other_label = Digits(digits.images, (digits.labels + 1) % 10)
    other_pixel = Digits(digits.images ^ (np.arange(67) == 66).astype(np.uint8)[:, None, None], digits.labels)
    swapped = digits.take(np.arange(67)[::-1])
    several = {each.digest for each in (digits, other_label, other_pixel, swapped)}
    assert len(several) == 4
    assert make_digits().digest == digits.digest


def test_digits_come_back_from_their_file(tmp_path: Path) -> None:
    digits = make_digits()
    write_digits(tmp_path / "new folder" / "d.npz", digits)
    back = read_digits(tmp_path / "new folder" / "d.npz")
    np.testing.assert_array_equal(back.images, digits.images)
    np.testing.assert_array_equal(back.labels, digits.labels)
    assert back.digest == digits.digest


def test_the_same_digits_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_digits(tmp_path / name, make_digits())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_missing_file_says_which_stage_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ModelyardError, match=r"none\.npz is missing: `dvc repro download`"):
        read_digits(tmp_path / "none.npz")


def test_a_file_that_is_no_digits_is_named(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    write_digits(path, make_digits())
    cut = path.read_bytes()[:-100]
    pickled, bare, lacking, wrong = (tmp_path / name for name in ("p.npz", "b.npz", "l.npz", "w.npz"))
    np.savez(pickled, images=np.array([{}], dtype=object), labels=np.zeros(1, np.uint8))
    np.save(bare.open("wb"), np.zeros(3))
    np.savez(lacking, images=np.zeros((1, 28, 28), np.uint8))
    np.savez(wrong, images=np.zeros((1, 28, 28), np.uint8), labels=np.array([10], np.uint8))
    path.write_bytes(cut)
    for broken in (path, pickled, bare, lacking, wrong):
        with pytest.raises(ModelyardError, match=f"{broken.name}: "):
            read_digits(broken)


class Touch:
    """What a pickle could do: its loading makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    trap = np.array([Touch(tmp_path / "was run")], dtype=object)
    np.savez(tmp_path / "d.npz", images=trap, labels=np.zeros(1, np.uint8))
    with pytest.raises(ModelyardError, match="allow_pickle=False"):
        read_digits(tmp_path / "d.npz")
    assert not (tmp_path / "was run").exists()


def test_the_splits_share_the_images_without_loss_and_in_order() -> None:
    digits = make_digits(1009)
    train, validation = split(digits, 97, seed=5)
    assert (len(train), len(validation)) == (912, 97)
    together = np.concatenate([train.images, validation.images]).reshape(1009, -1)
    assert sorted(map(bytes, together)) == sorted(map(bytes, digits.images.reshape(1009, -1)))
    for part in (train, validation):
        np.testing.assert_array_equal(part.images[:, 0, 0], part.labels)
        places = [np.flatnonzero((digits.images == image).all((1, 2)))[0] for image in part.images[:20]]
        assert places == sorted(places)


def test_every_digit_gives_the_same_share_and_the_largest_remainder_is_rounded_up() -> None:
    digits = with_sizes(100, 50, 50, 50, 50, 50, 50, 50, 50, 7)
    _, validation = split(digits, 50, seed=0)
    # 50 of 507: shares 9.86, 4.93 eight times, 0.69; nine are rounded up in the order of their remainders.
    assert np.bincount(validation.labels, minlength=10).tolist() == [10, 5, 5, 5, 5, 5, 5, 5, 5, 0]


def test_the_seed_alone_decides_which_images_are_taken() -> None:
    digits = make_digits(500)
    first, again, other = (split(digits, 50, seed)[1].digest for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("validation_images", [67, 68, -1])
def test_a_split_that_leaves_nothing_to_train_on_is_refused(validation_images: int) -> None:
    with pytest.raises(ModelyardError, match=r"data.validation_images: expected less than the 67"):
        split(make_digits(67), validation_images, seed=0)


def test_a_class_without_images_is_no_obstacle() -> None:
    _, validation = split(with_sizes(0, 5, 5, 5, 5, 5, 5, 5, 5, 5), 9, seed=0)
    assert np.bincount(validation.labels, minlength=10).tolist() == [0, *[1] * 9]


def test_samples_are_one_of_each_class_in_turn_and_named_by_their_truth(tmp_path: Path) -> None:
    digits = with_sizes(2, 2, 2, 1, 2, 2, 2, 2, 2, 2)
    digits.images[:, 0, 0] = digits.labels
    files = write_samples(tmp_path / "samples", digits, 14)
    names = [path.name for path in files]
    assert [int(name.split("-label-")[1][0]) for name in names] == [*range(10), 0, 1, 2, 4]
    assert names[7] == "digit-07-label-7.png"
    picture = Image.open(files[13])
    assert (picture.mode, picture.size, picture.getpixel((0, 0))) == ("L", (28, 28), 4)


def test_samples_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    write_samples(tmp_path, make_digits(), 12)
    files = write_samples(tmp_path, make_digits(), 3)
    assert sorted(tmp_path.iterdir()) == files
