"""Sample pictures beside an evaluation's report: few, small, and files as they were where those are small."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from modelyard.plots.small_samples import LARGE_BYTES, MOST, SIDE, keep_samples
from tflite_models import draw_band, encode

NOISE = encode(np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8))


def test_small_files_stay_as_they_are_and_large_ones_are_shrunk(tmp_path: Path) -> None:
    small = encode(draw_band(7))
    keep_samples(tmp_path, [("seven.png", small), ("noise.png", NOISE)])
    kept = {path.name: path.read_bytes() for path in (tmp_path / "samples").iterdir()}
    assert kept["seven.png"] == small
    assert sorted(kept) == ["noise.jpg", "seven.png"]
    with Image.open(io.BytesIO(kept["noise.jpg"])) as picture:
        assert (picture.format, max(picture.size)) == ("JPEG", SIDE)
    assert len(NOISE) > LARGE_BYTES
    assert len(kept["noise.jpg"]) < 400_000


def test_ten_are_enough(tmp_path: Path) -> None:
    files = ((f"{number:02}.png", encode(draw_band(number % 10))) for number in range(25))
    keep_samples(tmp_path, files)
    assert len(list((tmp_path / "samples").iterdir())) == MOST
    # No more is read than is kept.
    assert next(files)[0] == "10.png"
