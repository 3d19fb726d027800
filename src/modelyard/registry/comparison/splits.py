"""The pictures that versions were tested on, if this machine has them."""

from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.images.pictures import Pictures, read_pictures
from modelyard.repository import find_root

# As dvc.yaml names them.
TEST_SPLIT, SOURCE = Path("data/test.npz"), Path("data/source")


def find_test_split(digest: str) -> Pictures | None:
    """Return the repository's test split, or None if it is missing, damaged or has another digest."""
    root = find_root()
    try:
        pictures = read_pictures(root / TEST_SPLIT, root / SOURCE)
    except ModelyardError:
        return None
    return pictures if pictures.digest == digest else None
