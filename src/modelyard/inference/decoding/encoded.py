"""Turns what a caller passes as an image into the bytes of a PNG or JPEG file, or decodes its base64."""

import binascii

from modelyard.inference.decoding.formats import MAGICS, NAMES, NEITHER, name_other
from modelyard.inference.decoding.structure import ImageError

_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BLANK = b" \t\r\n"


def read_file_bytes(image: bytes | str, max_bytes: int) -> bytes:
    """Return the bytes of a PNG or JPEG file; only its first bytes are checked.

    `image` is the file's bytes, or its base64 text as str or bytes: standard or URL-safe, with or without a
    `data:` prefix, padding and line breaks. Text of more than `max_bytes` is refused before it is decoded.
    Raises ImageError if it is empty, too long, not base64, or of another format.
    """
    if isinstance(image, bytes) and image.startswith(MAGICS):
        return _within(image, max_bytes)
    # Four letters encode three bytes; the rest leaves room for line breaks and a prefix.
    if len(image) > max_bytes * 3 // 2 + 1024:
        raise ImageError(f"more than {max_bytes} bytes")
    text = _to_ascii(image)
    if not text.strip():
        raise ImageError("empty")
    _refuse_others(text)
    data = _from_base64(text)
    if not data.startswith(MAGICS):
        _refuse_others(data)
        raise ImageError("empty" if not data else f"base64 of something that is {NEITHER}")
    return _within(data, max_bytes)


def _within(data: bytes, max_bytes: int) -> bytes:
    if len(data) > max_bytes:
        raise ImageError(f"{len(data)} bytes, at most {max_bytes} are allowed")
    return data


def _to_ascii(image: bytes | str) -> bytes:
    if isinstance(image, bytes):
        return image
    try:
        return image.encode("ascii")
    except UnicodeEncodeError:
        raise ImageError("text that is not base64") from None


def _refuse_others(data: bytes) -> None:
    # Base64 text may begin with BM by chance, but not where it holds a PNG or JPEG (iVBO, /9j/).
    if name := name_other(data):
        raise ImageError(f"{name}, not {NAMES}")


def _from_base64(text: bytes) -> bytes:
    text = text.strip()
    if text[:5].lower() == b"data:":
        head, _, text = text.partition(b",")
        if not head.lower().endswith(b";base64"):
            raise ImageError("a data: address that is not base64")
    letters = text.translate(_URL_SAFE, _BLANK).rstrip(b"=")
    try:
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4), strict_mode=True)
    except binascii.Error:
        raise ImageError(f"{NEITHER}, and not base64 of one") from None
