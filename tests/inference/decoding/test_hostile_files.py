"""Whatever a file is built of, within the limits it is decoded or refused soon, and in bounded memory."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from bad_images import make_chunk, make_png
from hostile_files import PROGRESSIVE, Scan, draw_jpegs, draw_pngs, make_jpeg, make_means, make_segment
from modelyard.inference.decoding.images import Limits, decode
from modelyard.inference.decoding.pixels import read_pixels
from modelyard.inference.fits import FITS, fit_pixels

SMALL = 300_000
# Guards against minutes; a machine with nothing else to do needs a second for the largest.
MOST_SECONDS = 20
# 400 MB of the largest picture.
BYTES_A_PIXEL = 400_000_000 // Limits().max_pixels
# What is converted at once, and the file itself.
BAND_BYTES = 40_000_000
# Decodes each file that is named on its command line, and tells what came of it and what it took.
MEASURE = """
import json, re, sys, time
from pathlib import Path
from modelyard.inference.decoding.images import ImageError, Limits, decode
limits = Limits(max_pixels=int(sys.argv[1]))
read_peak = lambda: int(re.findall(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[0]) * 1024
before, slowest, decoded, refused = read_peak(), 0.0, 0, 0
for path in sorted(Path(sys.argv[2]).iterdir()):
    started = time.process_time()
    try:
        decode(path.read_bytes(), limits)
        decoded += 1
    except ImageError:
        refused += 1
    slowest = max(slowest, time.process_time() - started)
print(json.dumps([decoded, refused, slowest, read_peak() - before]))
"""


def measure(files: list[bytes], folder: Path, max_pixels: int) -> tuple[int, int, float, int]:
    """Return how many were decoded and refused, the slowest one's processor seconds, and the peak's bytes."""
    for place, file in enumerate(files):
        (folder / f"{place:04}").write_bytes(file)
    command = [sys.executable, "-c", MEASURE, str(max_pixels), str(folder)]
    decoded, refused, seconds, size = json.loads(subprocess.check_output(command, timeout=300))
    return decoded, refused, seconds, size


def make_worst(size: tuple[int, int]) -> list[bytes]:
    """Return the files that take longest, or most memory, of all that the limits let through."""
    rows = (b"\4" + bytes(size[0] * 4)) * size[1]
    turned = make_chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0")
    means = make_means(size, 4, low=1)
    refined = [Scan([place % 4 + 1], 1, 63, 1, 0, bytes(200)) for place in range(20)]
    return [
        make_png(*size, 8, 6, rows, turned),
        make_jpeg(
            size,
            [means, *refined],
            (0x11,) * 4,
            PROGRESSIVE,
            before=make_segment(0xE1, b"Exif\0\0" + turned[8:]),
        ),
    ]


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


@needs_proc
def test_hostile_structure_takes_bounded_time_and_memory(tmp_path: Path) -> None:
    chance = random.Random(2024)  # noqa: S311
    files = [*draw_jpegs(chance, 150, SMALL), *draw_pngs(chance, 60, SMALL)]
    decoded, refused, seconds, size = measure(files, tmp_path, SMALL)
    assert min(decoded, refused) > 40
    assert seconds < MOST_SECONDS
    assert size < BYTES_A_PIXEL * SMALL + BAND_BYTES


@needs_proc
def test_the_worst_that_the_limits_let_through_takes_bounded_time_and_memory(tmp_path: Path) -> None:
    # Four channels: a pixel of 32 bits counts as one and a third.
    most = 2504 * 2504 * 4 // 3 + 1
    decoded, _, seconds, size = measure(make_worst((2504, 2504)), tmp_path, most)
    assert decoded == 2
    assert seconds < MOST_SECONDS
    assert size < BYTES_A_PIXEL * most + BAND_BYTES


@pytest.mark.parametrize("size", [(32_768, 20), (20, 32_768)])
@pytest.mark.parametrize("fit", FITS)
def test_a_fit_needs_no_more_memory_than_picture_and_result(fit: str, size: tuple[int, int]) -> None:
    import tracemalloc

    grey = fit == "mnist"
    pixels = decode(
        make_png(*size, 8, 0, (b"\0" + b"\x70" * (size[0] - 1) + b"\xff") * size[1]), Limits(), grey
    )
    side = 28 if grey else 299
    tracemalloc.start()
    fit_pixels(fit, pixels, side, side)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Four floats for each number of the result; of MNIST's grey one float and two copies.
    assert peak < 6 * pixels.nbytes + 16 * side * side * 3 * 1.2


@pytest.mark.parametrize("place", [0, 1])
def test_a_decode_is_stopped_at_its_deadline(place: int) -> None:
    file = make_worst((2000, 2000))[place]
    with pytest.raises(TimeoutError):
        decode(file, Limits(), ends_at=time.monotonic() - 1)
    with pytest.raises(TimeoutError):
        # Before it is through: four million pixels take longer on every machine.
        decode(file, Limits(), ends_at=time.monotonic() + 0.005)
    assert decode(file, Limits(), ends_at=time.monotonic() + 600).shape == (2000, 2000, 3)


def test_between_the_bands_of_a_picture_somebody_looks_at_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.inference.decoding.pixels._BAND_PIXELS", 50)
    looks: list[None] = []
    read_pixels(Image.new("RGB", (10, 20)), grey=True, check_time=lambda: looks.append(None))
    assert len(looks) == 4
