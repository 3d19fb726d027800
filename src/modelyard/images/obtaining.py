"""The pictures of a dataset, in any format."""

from pathlib import Path

from modelyard.images.dataset import Obtained
from modelyard.images.folders.folder import obtain_folder
from modelyard.images.idx.idx_files import obtain_idx
from modelyard.params import Data


def obtain(data: Data, folder: Path) -> Obtained:
    """Obtain the pictures, from `folder` if conf/ has a path; raises ModelyardError if they are wrong."""
    return obtain_idx(data, folder) if data.format == "idx" else obtain_folder(data, folder)
