"""The files of pictures that the service has kept, found by their digests."""

import hashlib

from modelyard.errors import ModelyardError
from modelyard.inference.decoding.formats import FORMATS
from modelyard.monitoring.tables.places import IMAGES, Place


def read_image(place: Place, model: str, sha256: str) -> tuple[bytes, str] | None:
    """Return a file and the end of its name; None if none was kept, or what was kept has another digest.

    Raises ModelyardError if the place cannot be read.
    """
    for suffix in (kind.suffix for kind in FORMATS):
        path = f"{place.folder(IMAGES, model, sha256[:2])}/{sha256}{suffix}"
        try:
            with place.files.open_input_file(path) as stream:
                content = bytes(stream.readall())
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ModelyardError(f"{place.name}: expected pictures that can be read: {error}") from None
        if hashlib.sha256(content).hexdigest() == sha256:
            return content, suffix
    return None
