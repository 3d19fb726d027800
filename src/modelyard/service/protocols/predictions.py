"""The hot path: a request's body becomes images, images become answers, in plain ASGI."""

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from starlette.types import Receive, Scope, Send

from modelyard.inference.decoding.images import ImageError
from modelyard.inference.interpreters import ModelError
from modelyard.inference.predictor import Observe, Predictor
from modelyard.service.http.admission import Admission
from modelyard.service.http.front import RECORD, Record, send_answer
from modelyard.service.http.refusals import Refusal, busy, too_large
from modelyard.service.models.models import Models, ServedVersion, Unavailable, UnknownModel
from modelyard.service.protocols.lanes import is_quick
from modelyard.service.protocols.own import Payload
from modelyard.service.settings import Settings

Answers = list[Any]


class Dialect(Protocol):
    """How one protocol reads requests and writes answers."""

    def parse(self, content_type: str, query: str, body: bytes, max_items: int) -> Payload:
        """Read a request; a Refusal says what is wrong with it."""

    def write(self, served: ServedVersion, answers: Answers, inputs: list[str | None]) -> bytes:
        """Write the body of a 200; `inputs` are PNGs in base64, none where they were not asked for."""

    def refuse(self, refusal: Refusal) -> tuple[bytes, str]:
        """Write the body of any other status, and its content type."""


Choose = Callable[[Models, dict[str, Any]], ServedVersion]


@dataclass(frozen=True)
class Predictions:
    """An ASGI endpoint that answers images.

    Attributes:
        models: what is served.
        settings: the limits.
        admission: the slots, shared by all endpoints.
        loading: threads in which a version that is not in memory may be loaded.
        dialect: the protocol it speaks.
        choose: takes the version out of the models, by the path's parameters.
        chooses_at_once: `choose` never loads, and is called on the event loop.
    """

    models: Models
    settings: Settings
    admission: Admission
    loading: ThreadPoolExecutor
    dialect: Dialect
    choose: Choose
    chooses_at_once: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request within its deadline."""
        record: Record = scope[RECORD]
        try:
            with self.admission.admit():
                async with asyncio.timeout(self.settings.deadline_s):
                    body = await self._answer(scope, receive, record)
        except ClientGoneError:
            return
        except Exception as error:
            refusal = explain(error, self.settings.deadline_s)
            body, kind = self.dialect.refuse(refusal)
            await send_answer(send, refusal.status, body, kind, refusal.headers)
        else:
            await send_answer(send, 200, body)

    async def _answer(self, scope: Scope, receive: Receive, record: Record) -> bytes:
        ends_at = time.monotonic() + self.settings.deadline_s
        served = await self._choose(scope.get("path_params", {}))
        record.model, record.version = served.name, served.version
        headers = dict(scope["headers"])
        check_encoding(headers.get(b"content-encoding", b""))
        body = await read_body(receive, headers.get(b"content-length"), self.settings.max_body_bytes)
        record.body_bytes = len(body)
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        query = scope["query_string"].decode("latin-1")

        def parse() -> Payload:
            payload = self.dialect.parse(content_type, query, body, self.settings.max_items)
            record.images = len(payload.images)
            return payload

        inputs: list[str | None] = []

        def predict(payload: Payload) -> Answers:
            observe = _keep_drawn(served.predictor, inputs) if payload.shows_input else None
            return served.predictor.predict(payload.images, payload.top_k, payload.on_error, ends_at, observe)

        if len(body) > _QUICKLY_PARSED_BYTES:
            # In one slot: what JSON becomes may be twenty times as large, and must not wait in the queue.
            answers = await self.admission.run(lambda: predict(parse()))
        elif not (payload := parse()).shows_input and is_quick(served.predictor, payload.images, len(body)):
            answers = predict(payload)
        else:
            answers = await self.admission.run(predict, payload)
        return self.dialect.write(served, answers, inputs)

    async def _choose(self, path: dict[str, Any]) -> ServedVersion:
        if self.chooses_at_once:
            return self.choose(self.models, path)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.loading, self.choose, self.models, path)


def _keep_drawn(predictor: Predictor, inputs: list[str | None]) -> Observe:
    """Return what adds a picture of each input to `inputs`, a PNG in base64, None of what cannot be read."""

    def keep(ready: NDArray[np.float32] | None) -> None:
        inputs.append(None if ready is None else b64encode(predictor.draw_input(ready)).decode())

    return keep


# Reading that much JSON takes a fraction of a millisecond.
_QUICKLY_PARSED_BYTES = 262_144


# Of a message about a name that may be 64 kB long.
_MOST_TOLD = 1000


class ClientGoneError(Exception):
    """The client went away while it sent its request; there is nobody to answer."""


def check_encoding(encoding: bytes) -> None:
    """Refuse a body that is compressed as a whole (415); images are compressed by themselves."""
    if encoding.strip().lower() not in (b"", b"identity"):
        raise Refusal(
            415, "expected a body without Content-Encoding", headers={"accept-encoding": "identity"}
        )


async def read_body(receive: Receive, declared: bytes | None, max_bytes: int) -> bytes:
    """Read a request's body, at most `max_bytes` of it whatever it declares.

    Raises:
        Refusal: it is larger (413).
        ClientGoneError: it ended before its time.
    """
    if declared is not None and declared.isdigit() and int(declared[:20]) > max_bytes:
        raise too_large(f"a body of {declared[:20].decode()} bytes, at most {max_bytes} are allowed")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise too_large(f"a body of more than {max_bytes} bytes, which is all that is allowed")
        if not message.get("more_body", False):
            # Most bodies come in one piece, which is not copied.
            return b"".join([*chunks, chunk]) if chunks else chunk
        chunks.append(chunk)


def explain(error: Exception, deadline_s: float) -> Refusal:
    """Return the refusal that an error amounts to; what is nobody's fault but ours is raised again."""
    match error:
        case Refusal():
            return error
        case ImageError():
            return Refusal(400, str(error), error.index)
        case UnknownModel():
            # str() of a LookupError is its message; of a KeyError it would be quoted.
            return Refusal(404, str(error.args[0] if error.args else error)[:_MOST_TOLD])
        case Unavailable():
            return busy(str(error))
        case TimeoutError():
            return Refusal(504, f"no answer within {deadline_s:g} s")
        case ModelError():
            return Refusal(500, str(error))
        case ValueError():
            return Refusal(400, str(error))
    raise error
