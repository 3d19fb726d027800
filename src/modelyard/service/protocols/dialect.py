"""What a protocol of predictions is, and what all of them check."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import orjson

from modelyard.inference.predictor import DEFAULT_TOP_K
from modelyard.service.http.refusals import Refusal, too_large
from modelyard.service.models.models import ServedVersion

JSON = "application/json"
# Brackets and commas of one image as numbers, of 28 x 28 or so; larger images come as files.
_MOST_NODES = 2_000

Answers = list[Any]
# PNGs in base64, None for an image that cannot be read.
Drawn = list[str | None]


@dataclass(frozen=True)
class Payload:
    """Images and options for `Predictor.predict`, which checks `top_k` and `on_error`.

    With `shows_input` the answers come with a picture of each input of the model. `form` is what the dialect
    needs later, to write the answers.
    """

    images: list[Any]
    top_k: Any = DEFAULT_TOP_K
    on_error: Any = "raise"
    shows_input: bool = False
    form: Any = None


class Written(NamedTuple):
    """The body of a 200, its content type, and headers beside it."""

    body: bytes
    kind: str = JSON
    headers: Mapping[str, str] = MappingProxyType({})


class Dialect(Protocol):
    """How one protocol reads requests and writes answers."""

    def parse(self, headers: Mapping[bytes, bytes], query: str, body: bytes, max_items: int) -> Payload:
        """Read a request, or raise a Refusal."""

    def write(self, served: ServedVersion, payload: Payload, answers: Answers, inputs: Drawn) -> Written:
        """Write a 200; `inputs` are PNGs in base64, if they were asked for."""

    def refuse(self, refusal: Refusal) -> tuple[bytes, str]:
        """Return the body of any other status, and its content type."""


def load_json(body: bytes) -> Any:
    """Read JSON; refuse anything else (400)."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"the body is not JSON: {error.msg} at character {error.pos}") from None


def check_count(count: int, max_items: int) -> None:
    """Refuse a request without images (400), or with too many of them (413)."""
    if count < 1:
        raise Refusal(400, "no images")
    if count > max_items:
        raise too_large(f"{count} images, at most {max_items} are allowed in a request")


def check_nodes(body: bytes, max_items: int) -> None:
    """Refuse JSON with more lists and values than images can have (413), before it is read.

    A list of two bytes becomes an object of seventy.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > max_items * _MOST_NODES:
        raise too_large(f"more lists and values than {max_items} images have, the most that are allowed")
