"""The mode of a picture's file, as Pillow names it."""

from modelyard.inference.decoding.formats import PNG
from modelyard.inference.decoding.jpeg_structure import count_components

# By the kind of colour in a PNG's header.
_OF_PNG = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_OF_JPEG = {1: "L", 3: "RGB", 4: "CMYK"}


def find_mode(file: bytes) -> str:
    """Return the mode of a file that was decoded, such as L or RGBA; of 16 bits a level as of 8."""
    if file.startswith(PNG.magic):
        return _OF_PNG.get(file[25], "")
    return _OF_JPEG.get(count_components(file), "")
