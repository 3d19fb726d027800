"""The pictures of a dataset, in whichever format it comes."""

from pathlib import Path

from modelyard.images.dataset import Obtained
from modelyard.images.folders.folder import obtain_folder
from modelyard.images.idx_files import obtain_idx
from modelyard.params import Data


def obtain(data: Data, folder: Path) -> Obtained:
    """Obtain the pictures.

    Args:
        data: what conf/data says of them.
        folder: where `data.path` is to be found.

    Raises:
        ModelyardError: they cannot be had, or are not as conf/ says.
    """
    return obtain_idx(data, folder) if data.format == "idx" else obtain_folder(data, folder)
