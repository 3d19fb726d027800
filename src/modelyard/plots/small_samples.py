"""A few of the pictures that a version was measured on, as small files to try it with."""

import io
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from PIL import Image

from modelyard.images.pictures import LIMITS
from modelyard.inference.decoding.images import decode
from modelyard.plots.thumbnails import shrink

FOLDER, MOST = "samples", 10
# Larger ones are shrunk to this many pixels a side, which is about as many bytes.
LARGE_BYTES, SIDE = 100_000, 512


def keep_samples(report: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write name and content of at most ten PNG and JPEG files below a report: large ones as a small JPEG."""
    folder = report / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in islice(files, MOST):
        if len(content) <= LARGE_BYTES:
            (folder / name).write_bytes(content)
        else:
            small = Image.fromarray(shrink(decode(content, LIMITS, False), SIDE))
            stream = io.BytesIO()
            small.save(stream, "JPEG", quality=85)
            (folder / name).with_suffix(".jpg").write_bytes(stream.getvalue())
