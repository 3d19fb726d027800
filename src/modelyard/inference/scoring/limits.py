"""The requests that MLflow's scoring server accepts: JSON with images, within limits.

MLflow itself turns any JSON into a DataFrame of any size.
"""

import json
from typing import Any

JSON = "application/json"
SHAPES = ("dataframe_split", "dataframe_records", "instances", "inputs")
# The defaults of `modelyard serve`.
MOST_BODY_BYTES = 16_000_000
MOST_IMAGES = 256
_MOST_NODES = MOST_IMAGES * 2_000
# Nesting of objects and lists: a named image given as numbers needs seven levels.
_MOST_DEPTH = 10
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_MOST_KEYS, _MOST_KEY = 20, 100
# An image and its key have four.
_MOST_IMAGE_QUOTES = 4 * MOST_IMAGES
# A key of this length is refused; longer texts are shortened to it.
_LONG = b"-" * (_MOST_KEY + 1)


class Refused(Exception):  # noqa: N818  # a status is chosen, nothing failed
    """A request is answered with a 4xx before MLflow sees it; the message is one line."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def check_type(content_type: str) -> None:
    """Refuse everything but JSON in UTF-8: MLflow fails without a type, and cannot read images from tables.

    Raises Refused with 415, or 400 for a table.
    """
    kind, *parameters = (part.strip() for part in content_type.split(";"))
    if kind in ("text/csv", "application/vnd.apache.parquet"):
        raise Refused(400, f"expected {JSON}; images do not come in tables")
    if kind != JSON or any(text.lower() != "charset=utf-8" for text in parameters):
        raise Refused(415, f"expected the content type {JSON}, in utf-8")


def check_body(body: bytes) -> None:
    """Refuse JSON that costs MLflow more than images do, or has parameters of the wrong type.

    Raises Refused with 413 if there is too much of something, else with 400.
    """
    if len(body) > _MOST_NODES and sum(map(body.count, (b",", b"[", b"{"))) > _MOST_NODES:
        raise Refused(413, f"more lists and values than {MOST_IMAGES} images have, the most that are allowed")
    short = _shorten_texts(body)
    _check_depth(short)
    fields = _load(short)
    given = fields.keys() & set(SHAPES)
    if len(given) != 1:
        raise Refused(400, f"expected exactly one of {', '.join(SHAPES)}, got {len(given)} of them")
    _check_rows(fields[given.pop()])
    _check_params(fields.get("params"))


def _shorten_texts(body: bytes) -> bytes:
    """Return the same JSON with short texts instead of images, which `json` would read letter by letter.

    MLflow reads the images themselves, and reports what is wrong in them.
    """
    if len(body) < 4096 or b"\\" in body or b"\0" in body or body.count(b'"') > _MOST_IMAGE_QUOTES:
        return body
    parts = body.split(b'"')
    parts[1::2] = [text if len(text) <= _MOST_KEY else _LONG for text in parts[1::2]]
    return b'"'.join(parts)


def _load(body: bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(body.decode(json.detect_encoding(body)))
    except json.JSONDecodeError as error:
        raise Refused(400, f"the body is not JSON: {error.msg} at character {error.pos}") from None
    except (ValueError, RecursionError):
        reason = "not text, numbers of too many digits, or nested too deeply"
        raise Refused(400, f"the body is not JSON: {reason}") from None
    if not isinstance(value, dict):
        raise Refused(400, f"expected a JSON object, got {type(value).__name__}")
    return value


def _check_depth(body: bytes) -> None:
    """Refuse deep nesting before `json` reads it. Brackets in a text count too, since no image has any."""
    depth = 0
    for bracket in body.translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > _MOST_DEPTH:
            raise Refused(400, f"expected lists and objects at most {_MOST_DEPTH} deep")


def _check_keys(node: dict[str, Any]) -> dict[str, Any]:
    """Refuse many or long keys: each becomes a column, and MLflow takes half a minute for 400,000 of them."""
    if len(node) > _MOST_KEYS or any(len(key) > _MOST_KEY for key in node):
        raise Refused(400, f"expected objects of at most {_MOST_KEYS} keys of {_MOST_KEY} characters")
    return node


_DECODER = json.JSONDecoder(object_hook=_check_keys)


def _check_rows(value: Any) -> None:
    """Refuse too many rows, columns or images; a list of numbers may be one image."""
    lists = value.values() if isinstance(value, dict) else [value]
    for items in lists:
        if isinstance(items, list) and len(items) > MOST_IMAGES and not isinstance(items[0], int | float):
            raise Refused(413, f"{len(items)} images, at most {MOST_IMAGES} are allowed in a request")


def _check_params(params: Any) -> None:
    """Refuse parameters of the wrong type: MLflow would repeat the picture in its error."""
    if params is None:
        return
    if not isinstance(params, dict):
        raise Refused(400, f"params: expected an object, got {type(params).__name__}")
    top_k, on_error = params.get("top_k"), params.get("on_error")
    if top_k is not None and (type(top_k) is not int or abs(top_k) > 1_000_000_000):
        raise Refused(400, f"top_k must be a whole number from 1, got {type(top_k).__name__}")
    if on_error is not None and not isinstance(on_error, str):
        raise Refused(400, f"on_error must be 'raise' or 'return', got {type(on_error).__name__}")
