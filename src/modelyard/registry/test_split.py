"""The images that digit versions were tested on, where this machine has them."""

from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.images.dataset import Digits, read_digits
from modelyard.repository import find_root

# As dvc.yaml names it.
TEST_SPLIT = Path("data/mnist/test.npz")


def find_test_split(digest: str) -> Digits | None:
    """Return the test split of the repository, None where there is none that is whole and has this digest."""
    try:
        digits = read_digits(find_root() / TEST_SPLIT)
    except ModelyardError:
        return None
    return digits if digits.digest == digest else None
