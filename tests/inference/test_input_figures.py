"""The figures of a model's input, and the mode of a picture's file."""

import io

import numpy as np
import pytest
from PIL import Image

from modelyard.inference.decoding.formats import find_format
from modelyard.inference.input_figures import FIGURES, input_figures


def test_the_figures_of_plain_pictures_are_what_their_names_say() -> None:
    black, white = np.zeros((4, 6, 1), np.uint8), np.full((4, 6, 1), 255, np.uint8)
    half, stripes = black.copy(), np.full((4, 6, 1), 51, np.uint8)
    half[:, 3:] = 255
    stripes[:, ::2] = 102
    found = input_figures(np.stack([black, white, half, stripes]))
    assert (found.dtype, FIGURES) == (np.float32, ("mean", "spread", "ink", "saturated", "edges"))
    # Of the half, 4 of 38 pairs of neighbours differ; of the stripes, 20 by a fifth.
    expected = [
        [0, 0, 0, 1, 0],
        [1, 0, 1, 1, 0],
        [0.5, 0.5, 0.5, 1, 4 / 38],
        [0.3, 0.1, 0, 0, 20 / 38 / 5],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_levels_that_a_scaling_has_rounded_count_as_the_ends() -> None:
    levels = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1)
    rounded = (levels * np.float32(1 / 255)) / np.float32(1 / 255)
    np.testing.assert_allclose(input_figures(rounded), input_figures(levels), atol=1e-6)
    assert input_figures(levels)[0, 3] == pytest.approx(2 / 256)


def test_a_picture_of_one_pixel_has_no_edges_and_colours_are_pixels_too() -> None:
    assert input_figures(np.full((1, 1, 1, 1), 9, np.uint8))[0, 4] == 0
    colours = np.random.default_rng(3).integers(0, 256, (1, 5, 7, 3)).astype(np.uint8)
    single = [input_figures(colours[..., place : place + 1])[0] for place in range(3)]
    np.testing.assert_allclose(
        input_figures(colours)[0, [0, 2, 3, 4]], np.mean(single, axis=0)[[0, 2, 3, 4]], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", mode) for mode in ("L", "RGB", "P", "LA", "RGBA")]
    + [("JPEG", mode) for mode in ("L", "RGB", "CMYK")],
)
def test_a_file_s_mode_is_what_pillow_names(kind: str, mode: str) -> None:
    stream = io.BytesIO()
    Image.new(mode, (30, 20)).save(stream, kind, **({"progressive": True} if kind == "JPEG" else {}))
    found = find_format(stream.getvalue())
    assert found is not None
    assert (found.name, found.find_mode(stream.getvalue())) == (kind, mode)
