"""Cut-outs: many different pictures out of a few, the same ones every time."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelyard.errors import ModelyardError
from modelyard.images.crops import SMALLEST_SHARE, NamedPixels, Samples, cut_out, read_samples
from modelyard.inference.decoding.images import Limits, decode


@pytest.fixture
def pictures() -> list[NamedPixels]:
    """A grey one and a colour one, in which no two pixels of a channel are alike."""
    grey = np.arange(12 * 20, dtype=np.uint8).reshape(12, 20)
    rows, columns = np.mgrid[:40, :30].astype(np.uint8)
    return [("grey.png", grey), ("colour.jpg", np.stack([rows, columns, rows + columns], axis=2))]


def test_the_pictures_themselves_come_first_then_parts_of_each_in_turn(pictures: list[NamedPixels]) -> None:
    names = [name for name, _ in cut_out(pictures, 5)]
    parts = ["grey.png, part 2", "colour.jpg, part 3", "grey.png, part 4"]
    assert names == ["grey.png", "colour.jpg", *parts]


def test_there_are_as_many_as_asked_for_and_none_is_left_out(pictures: list[NamedPixels]) -> None:
    assert len(cut_out(pictures, 60)) == 60
    assert [name for name, _ in cut_out(pictures, 1)] == ["grey.png", "colour.jpg"]


def test_the_same_pictures_give_the_same_parts(pictures: list[NamedPixels]) -> None:
    for (_, one), (_, other) in zip(cut_out(pictures, 40), cut_out(pictures, 60)[:40], strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_part_lies_within_its_picture_and_some_are_mirrored(pictures: list[NamedPixels]) -> None:
    _, colour = pictures[1]
    mirrored = 0
    for _, part in cut_out(pictures, 60)[3::2]:
        left = int(part[0, :, 1].min())
        top, turned = int(part[0, 0, 0]), part[0, 0, 1] > part[0, -1, 1]
        high, wide = part.shape[:2]
        expected = colour[top : top + high, left : left + wide]
        np.testing.assert_array_equal(part[:, ::-1] if turned else part, expected)
        mirrored += int(turned)
    assert 5 < mirrored < 25


def test_parts_differ_in_size_and_proportions_and_are_not_too_small(pictures: list[NamedPixels]) -> None:
    parts = [part for _, part in cut_out(pictures, 60)[3::2]]
    shapes = {part.shape for part in parts}
    assert len({part.tobytes() for part in parts}) == len(parts)
    assert len(shapes) > len(parts) // 2
    assert min(high for high, _, _ in shapes) >= int(40 * SMALLEST_SHARE)
    assert min(wide for _, wide, _ in shapes) >= int(30 * SMALLEST_SHARE)


def test_a_picture_of_one_pixel_can_be_cut(pictures: list[NamedPixels]) -> None:
    dot = np.full((1, 1), 7, np.uint8)
    assert all(np.array_equal(part, dot) for _, part in cut_out([("dot.png", dot)], 5))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A JPEG in colour and a grey PNG."""
    random = np.random.default_rng(2)
    for name, shape in (("b.jpg", (31, 47, 3)), ("a.png", (20, 30))):
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / name)
    return tmp_path


@pytest.fixture
def samples(folder: Path) -> Samples:
    return read_samples(folder, 20)


def test_samples_are_the_files_in_the_order_of_their_names_then_cut_outs(
    folder: Path, samples: Samples
) -> None:
    names = [samples.name(place) for place in range(len(samples))]
    assert names[:4] == ["a.png", "b.jpg", "a.png, part 2", "b.jpg, part 3"]
    assert len(names) == 20
    assert [samples.file(place) for place in (0, 1)] == [
        (folder / name).read_bytes() for name in ("a.png", "b.jpg")
    ]


@pytest.mark.parametrize("grey", [False, True])
def test_a_sample_is_answered_as_a_file_as_its_pixels_are(samples: Samples, grey: bool) -> None:
    for place in range(len(samples)):
        np.testing.assert_array_equal(
            decode(samples.file(place), Limits(), grey), samples.pixels(place, grey)
        )


def test_the_digest_tells_other_files_and_another_number_of_cut_outs(folder: Path, samples: Samples) -> None:
    before = samples.digest
    assert read_samples(folder, 20).digest == before
    assert read_samples(folder, 21).digest != before
    Image.new("RGB", (31, 47)).save(folder / "b.jpg")
    assert read_samples(folder, 20).digest != before


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ModelyardError, match=r"expected sample pictures in .*`dvc repro import`"):
            read_samples(folder, 20)
