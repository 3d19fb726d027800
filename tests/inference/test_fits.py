"""What each fit makes of a picture is pinned: a version that was measured with it answers alike for years."""

import hashlib
import re

import numpy as np
import pytest
from numpy.typing import NDArray

from modelyard.inference.digits.mnist import fit_digit
from modelyard.inference.fits import FITS, check_fit, fit_pixels
from modelyard.inference.resize import Aligned, resize_bilinear

Pixels = NDArray[np.uint8]
# (h, w, c): larger and smaller than the results, of the very size, tall, wide, a line, a single pixel.
PROBES = ((60, 80, 1), (61, 47, 3), (9, 14, 3), (28, 28, 1), (24, 36, 3), (1, 90, 1), (1, 1, 3))
SIZES = ((24, 36), (31, 17))
# Those make 28x28 of grey pictures, whatever is asked for.
OF_DIGITS = ("mnist", "digit", "digit_2", "digit_3")
# SHA-256 over all that a fit makes of the probes. A fit that needs another value here needs another name.
PINS = {
    "mnist": "5e3d9738f914f768e0dc9e592c394fbad4277d110ec47b117b53deec45bfe76e",
    "digit": "4ba4f1e6a3bea066be4269d3f33715250207d68917bf9d309fd865876838ddbf",
    "digit_2": "4ba4f1e6a3bea066be4269d3f33715250207d68917bf9d309fd865876838ddbf",
    "digit_3": "8cefc1a0ffe99889794ab2a2a18a4faba5652e25d9418d578a0a32fe3a09f66d",
    "smooth": "8ea8da7f3621f59e6029a980282532ccd27c5a6c09a89b092f86dc8bbd523c28",
    "crop": "73e3788f76b9ac9471b937104d4f538c5e169dbfaf91093731a40330cdb278e1",
    "pad": "ce894170b3443e05e149608905c1fee2d65920fd84beb33eb7917eef9776054e",
    "stretch": "29249fc166fee08d93227d0624d6c786a75928d5826a21d742ce9ef42678133e",
    "stretch_corners": "eab6e29ccd4ac0baf69fb9cb5e9875d6fd808d7098e8730185acd652e3f1415c",
    "stretch_centres": "7ed3e6fc752d54cdaa5d9aac37a0346865178f513d34b3ffaece986704c5c932",
}


def make_probe(shape: tuple[int, int, int]) -> Pixels:
    """Slopes and edges, made with whole numbers so that every machine has the same ones."""
    rows, columns, channels = np.indices(shape)
    waves = rows * 7 + columns * 5 + channels * 60 + (rows * columns) // 3
    return ((waves + 90 * ((rows // 5 + columns // 4) % 2)) % 256).astype(np.uint8)


def digest_fit(fit: str) -> str:
    """Digest type and bytes of what a fit makes; its arithmetic is the same on every machine."""
    digest = hashlib.sha256()
    for shape in PROBES:
        pixels = make_probe(shape)
        if fit in OF_DIGITS and shape[2] == 3:
            continue
        for height, width in [(28, 28)] if fit in OF_DIGITS else SIZES:
            made = fit_pixels(fit, pixels[:, :, 0] if shape[2] == 1 else pixels, height, width)
            assert made.shape == (height, width, shape[2])
            assert 0 <= made.min() <= made.max() <= 255
            digest.update(str(made.dtype).encode() + made.tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("fit", FITS)
def test_a_fit_keeps_its_promise(fit: str) -> None:
    assert digest_fit(fit) == PINS.get(fit), "a fit's name is a promise: give what changed a name of its own"


@pytest.mark.parametrize("fit", [fit for fit in FITS if fit not in OF_DIGITS])
def test_a_picture_of_the_inputs_size_passes_untouched(fit: str) -> None:
    pixels = make_probe((24, 36, 3))
    assert np.array_equal(fit_pixels(fit, pixels, 24, 36), pixels)


@pytest.mark.parametrize("fit", [fit for fit in FITS if fit not in OF_DIGITS])
def test_a_grey_picture_is_fitted_as_one_channel_of_a_grey_colour_picture(fit: str) -> None:
    grey = make_probe((60, 80, 1))[:, :, 0]
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    assert np.array_equal(fit_pixels(fit, grey, 24, 36)[:, :, 0], fit_pixels(fit, colour, 24, 36)[:, :, 1])


@pytest.mark.parametrize("aligned", ["origin", "corners", "centres"])
@pytest.mark.parametrize("size", [(480, 640, 3), (10, 7, 3), (299, 299, 3), (1, 1, 3), (2, 900, 1)])
def test_stretching_equals_tensorflows_own_op(size: tuple[int, int, int], aligned: Aligned) -> None:
    import tensorflow as tf

    pixels: Pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    expected = tf.raw_ops.ResizeBilinear(
        images=pixels[None],
        size=(299, 299),
        align_corners=aligned == "corners",
        half_pixel_centers=aligned == "centres",
    )
    resized = resize_bilinear(pixels, 299, 299, aligned)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, expected[0], atol=1e-4)


def test_stretch_centres_is_what_tensorflow_2_resizes_by_default() -> None:
    import tensorflow as tf

    pixels = make_probe((61, 47, 3))
    expected = tf.image.resize(pixels, (24, 36))
    np.testing.assert_allclose(fit_pixels("stretch_centres", pixels, 24, 36), expected, atol=1e-4)


def test_a_crop_is_the_largest_centred_part_with_the_results_proportions() -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 200
    assert (fit_pixels("crop", pixels, 10, 10) == 200).all()
    assert (fit_pixels("crop", pixels.transpose(1, 0, 2), 10, 10) == 200).all()


def test_padding_shows_the_whole_picture_between_black_bars() -> None:
    made = fit_pixels("pad", np.full((20, 40, 1), 200, np.uint8)[:, :, 0], 12, 12)[:, :, 0]
    assert (made[3:9] == 200).all()
    assert not made[:3].any()
    assert not made[9:].any()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ("round", 28, 28, 1),
            "fit: expected one of mnist, digit, digit_2, digit_3, smooth, crop, pad, .* got 'round'",
        ),
        (("pad", 28, 28, 4), r"channels: expected 1 \(grey\) or 3 \(RGB\), got 4"),
        (("pad", 0, 28, 3), "height and width: expected 1 to 4096, got 0 and 28"),
        (("mnist", 32, 32, 1), "fit mnist makes 28 x 28 x 1, got 32 x 32 x 1"),
        (("mnist", 28, 28, 3), "fit mnist makes 28 x 28 x 1, got 28 x 28 x 3"),
        (("digit", 32, 28, 1), "fit digit makes 28 x 28 x 1, got 32 x 28 x 1"),
    ],
)
def test_an_input_that_a_fit_does_not_make_is_refused(
    arguments: tuple[str, int, int, int], reason: str
) -> None:
    assert re.search(reason, check_fit(*arguments) or "")
    assert check_fit("smooth", 1, 4096, 3) is None


# The digits of MNIST


def seven(height: int = 28, width: int = 28) -> Pixels:
    digit = np.zeros((height, width), np.uint8)
    digit[height // 4 : height // 4 + 2, width // 4 : width // 2] = 255
    digit[height // 4 : 3 * height // 4, width // 2 - 2 : width // 2] = 200
    return digit


def centre_of_mass(field: Pixels) -> tuple[float, float]:
    rows, columns = np.indices(field.shape)
    total = field.sum(dtype=float)
    return float((rows * field).sum() / total), float((columns * field).sum() / total)


def test_a_light_on_dark_digit_of_28_by_28_passes_untouched() -> None:
    assert np.array_equal(fit_digit(seven()), seven())


@pytest.mark.parametrize(("height", "width"), [(100, 60), (28, 40), (9, 9), (300, 400)])
@pytest.mark.parametrize("dark_on_light", [False, True])
def test_any_other_digit_is_fitted_and_centred_by_mass(height: int, width: int, dark_on_light: bool) -> None:
    digit = seven(height, width)
    fitted = fit_digit(255 - digit if dark_on_light else digit)
    assert fitted.shape == (28, 28)
    rows, columns = np.flatnonzero(fitted.any(axis=1)), np.flatnonzero(fitted.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert np.abs(np.array(centre_of_mass(fitted)) - 13.5).max() <= 0.51
    assert fitted.max() == 255


def test_an_inverted_digit_is_turned_to_light_on_dark() -> None:
    assert np.array_equal(fit_digit(255 - seven()), fit_digit(np.pad(seven(), 1)))


def test_grey_paper_and_pale_ink_are_stretched() -> None:
    paper = np.full((60, 60), 210, np.uint8)
    paper[20:40, 28:32] = 90
    fitted = fit_digit(paper)
    assert fitted.max() == 255
    assert fitted[0, 0] == 0
    assert np.flatnonzero(fitted.any(axis=1)).size == 20


def test_faint_specks_on_the_paper_are_no_ink() -> None:
    clean = np.full((60, 60), 255, np.uint8)
    clean[20:40, 28:32] = 0
    specked = clean.copy()
    specked[5, 5] = specked[55, 50] = 225
    assert np.array_equal(fit_digit(specked), fit_digit(clean))


@pytest.mark.parametrize("level", [0, 100, 255])
def test_an_image_of_one_colour_holds_no_ink(level: int) -> None:
    assert not fit_digit(np.full((50, 50), level, np.uint8)).any()
