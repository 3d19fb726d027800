"""What holds for every picture, every cut of it and every text, tried as hypothesis thinks of them."""

import base64
import tempfile

import numpy as np
import pytest
from hypothesis import configuration, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from bad_images import JPEGS, PNGS
from modelyard.inference.decoding.arrays import read_array
from modelyard.inference.decoding.images import ImageError, Limits, decode
from tflite_models import encode

# The same examples in every run, and nothing left behind in the tree.
configuration.set_hypothesis_home_dir(tempfile.mkdtemp(prefix="hypothesis-"))
settings.register_profile("same", derandomize=True, deadline=None, database=None, max_examples=150)
settings.load_profile("same")

LIMITS = Limits(max_bytes=100_000, max_pixels=10_000)
PICTURES = arrays(np.uint8, st.one_of(array_shapes(min_dims=2, max_dims=2, max_side=40), st.just((7, 9, 3))))
FILES = st.sampled_from([*PNGS.values(), *JPEGS.values()])
PREFIXES = st.sampled_from(
    ["", "data:image/png;base64,", "DATA:;Base64,", "data:image/jpeg;charset=x;base64,"]
)


def read_or_refuse(image: object) -> NDArray[np.uint8] | None:
    """Return pixels, or None for a refusal in one line; any other error is one of ours."""
    try:
        return decode(image, LIMITS)
    except ImageError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert len(str(error)) < 150  # noqa: PT017
        return None


@given(PICTURES)
def test_a_png_gives_the_pixels_that_were_put_in(pixels: NDArray[np.uint8]) -> None:
    expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    assert np.array_equal(decode(encode(pixels), LIMITS), expected)


@given(
    pixels=PICTURES,
    kind=st.sampled_from(["PNG", "JPEG"]),
    url_safe=st.booleans(),
    padding=st.integers(0, 3),
    prefix=PREFIXES,
    width=st.integers(1, 80),
    as_bytes=st.booleans(),
)
def test_every_spelling_of_a_picture_is_the_same_picture(
    pixels: NDArray[np.uint8],
    kind: str,
    url_safe: bool,
    padding: int,
    prefix: str,
    width: int,
    as_bytes: bool,
) -> None:
    file = encode(pixels, kind)
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(file).decode().rstrip("=")
    lines = "\r\n".join(text[start : start + width] for start in range(0, len(text), width))
    spelt = prefix + lines + "=" * padding
    assert np.array_equal(decode(spelt.encode() if as_bytes else spelt, LIMITS), decode(file, LIMITS))


@given(FILES, st.data())
def test_a_cut_picture_is_none(file: bytes, data: st.DataObject) -> None:
    assert read_or_refuse(file[: data.draw(st.integers(0, len(file) - 1))]) is None


@given(st.sampled_from(list(PNGS.values())), st.data())
def test_a_png_with_any_other_byte_is_no_picture(file: bytes, data: st.DataObject) -> None:
    place, other = data.draw(st.integers(0, len(file) - 1)), data.draw(st.integers(1, 255))
    assert read_or_refuse(file[:place] + bytes([file[place] ^ other]) + file[place + 1 :]) is None


@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", *(png[:33] for png in PNGS.values())]),
    st.binary(),
)
@example(b"\x89PNG\r\n\x1a\n", b"\0\0\0\x0dIHDR" + b"\0" * 17)
def test_random_bytes_are_refused_in_one_line(start: bytes, rest: bytes) -> None:
    assert read_or_refuse(start + rest) is None


@given(st.text())
def test_random_text_is_refused_in_one_line(text: str) -> None:
    assert read_or_refuse(text) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    )
)
def test_lists_of_anything_are_no_digit(value: object) -> None:
    with pytest.raises(ImageError, match=r"^image 0: an array "):
        read_array(value if isinstance(value, list) else [value], 28, 28)


@given(arrays(np.uint8, 784))
def test_numbers_are_the_same_digit_in_every_form(levels: NDArray[np.uint8]) -> None:
    expected = levels.reshape(28, 28)
    forms = [
        levels,
        levels.tolist(),
        expected.tolist(),
        expected[:, :, None].tolist(),
        (levels / 255).tolist(),
    ]
    for form in forms:
        assert np.array_equal(read_array(form, 28, 28), expected)
