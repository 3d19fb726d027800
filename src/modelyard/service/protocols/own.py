"""The protocol of /models/...: raw bytes, multipart or JSON become images and their options."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from modelyard.inference.decoding.formats import FORMATS
from modelyard.service.http.refusals import Refusal
from modelyard.service.models.models import ServedVersion
from modelyard.service.protocols.dialect import (
    JSON,
    Answers,
    Drawn,
    Payload,
    Written,
    check_count,
    check_nodes,
    load_json,
)
from modelyard.service.protocols.multipart import read_parts

RAW = frozenset(kind for one in FORMATS for kind in one.media_types)
_OFFICIAL = ", ".join(one.media_types[0] for one in FORMATS)
MULTIPART = "multipart/form-data"
# Images whose inputs may be shown in one answer: those may be much larger than the images.
MOST_SHOWN = 16
_KEYS = {"images", "image", "top_k", "on_error"}


class OwnDialect:
    """The service's own protocol, of /models/...: raw bytes, multipart or JSON."""

    def parse(self, headers: Mapping[bytes, bytes], query: str, body: bytes, max_items: int) -> Payload:
        """Read images and options; options in the body override those in the query.

        Raises Refusal for another type (415), too many images (413), or a body that does not match its type
        (400).
        """
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        kind = content_type.partition(";")[0].strip().lower()
        options = _read_query(query) if query else {}
        if kind in RAW:
            images: list[Any] = [body]
        elif kind == JSON:
            images, found = _read_json(body, max_items)
            options |= found
        elif kind == MULTIPART:
            images, fields = read_parts(content_type, body, max_items)
            options |= _read_options(fields)
        else:
            raise Refusal(415, f"expected {_OFFICIAL}, {MULTIPART} or {JSON}, got {_show(kind)}")
        shown = options.get("shows_input", False)
        check_count(len(images), min(max_items, MOST_SHOWN) if shown else max_items)
        return Payload(images, **options)

    def write(self, served: ServedVersion, payload: Payload, answers: Answers, inputs: Drawn) -> Written:  # noqa: ARG002
        """Write the answers with their version, and with pictures of its inputs, if there are any."""
        answer: dict[str, Any] = {"model": served.name, "version": served.version, "predictions": answers}
        if inputs:
            answer["inputs"] = inputs
        return Written(orjson.dumps(answer))

    def refuse(self, refusal: Refusal) -> tuple[bytes, str]:
        """Write the reason, and the index of the image at fault."""
        error: dict[str, Any] = {"error": refusal.message}
        if refusal.index is not None:
            error["index"] = refusal.index
        return orjson.dumps(error), JSON


def _read_json(body: bytes, max_items: int) -> tuple[list[Any], dict[str, Any]]:
    check_nodes(body, max_items)
    fields = load_json(body)
    if not isinstance(fields, dict):
        raise Refusal(400, f"expected a JSON object, got {type(fields).__name__}")
    if unknown := fields.keys() - _KEYS:
        raise Refusal(400, f"expected the keys {sorted(_KEYS)}, got {len(unknown)} others")
    if ("images" in fields) == ("image" in fields):
        raise Refusal(400, "expected one of 'images' (a list) and 'image'")
    images = fields["images"] if "images" in fields else [fields["image"]]
    if not isinstance(images, list):
        raise Refusal(400, f"images: expected a list, got {type(images).__name__}")
    return images, {name: fields[name] for name in ("top_k", "on_error") if fields.get(name) is not None}


def _read_query(query: str) -> dict[str, Any]:
    try:
        fields = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise Refusal(400, "the query has more than 20 fields") from None
    if fields.get("show", "input") != "input":
        raise Refusal(400, "show: expected input, the only thing that can be shown beside the answers")
    return _read_options(fields) | ({"shows_input": True} if "show" in fields else {})


def _read_options(fields: dict[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if "top_k" in fields:
        # int() would also take blanks, underscores and digits of other scripts.
        text = fields["top_k"]
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise Refusal(400, "top_k must be a whole number from 1")
        options["top_k"] = int(text)
    if "on_error" in fields:
        options["on_error"] = fields["on_error"]
    return options


def _show(kind: str) -> str:
    return kind[:60] if kind and kind.isprintable() else "none"
