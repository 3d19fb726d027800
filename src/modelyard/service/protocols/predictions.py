"""The hot path: from a request's body to images to answers, in plain ASGI."""

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from modelyard.inference.decoding.images import ImageError
from modelyard.inference.predictor import Observe, Predictor, Seen
from modelyard.inference.runtime.interpreters import ModelError
from modelyard.service.http.admission import Admission
from modelyard.service.http.front import RECORD, Record, send_answer
from modelyard.service.http.refusals import Refusal, busy, too_large
from modelyard.service.models.models import Models, ServedVersion, Unavailable, UnknownModel
from modelyard.service.protocols.dialect import Answers, Dialect, Payload, Written
from modelyard.service.protocols.lanes import is_quick
from modelyard.service.recording.answered import Answered
from modelyard.service.recording.recording import Recording
from modelyard.service.settings import Settings

# This much JSON is read in a fraction of a millisecond.
_QUICKLY_PARSED_BYTES = 262_144

Choose = Callable[[Models, dict[str, Any]], ServedVersion]


@dataclass(frozen=True)
class Predictions:
    """An ASGI endpoint that answers images in one protocol; all endpoints share admission and loading.

    Attributes:
        loading: threads in which versions that are not in memory may be loaded.
        choose: returns the version for the path's parameters.
        chooses_at_once: `choose` never loads, and is called on the event loop.
        recording: is given what was answered, once that is sent; None for no record.
    """

    models: Models
    settings: Settings
    admission: Admission
    loading: ThreadPoolExecutor
    dialect: Dialect
    choose: Choose
    chooses_at_once: bool
    recording: Recording | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request within its deadline."""
        record: Record = scope[RECORD]
        kept = None if self.recording is None else Answered()
        try:
            with self.admission.admit():
                async with asyncio.timeout(self.settings.deadline_s):
                    written = await self._answer(scope, receive, record, kept)
        except ClientGoneError:
            return
        except Exception as error:
            refusal = explain(error, self.settings.deadline_s)
            body, kind = self.dialect.refuse(refusal)
            await send_answer(send, refusal.status, body, kind, refusal.headers)
        else:
            await send_answer(send, 200, *written)
            if self.recording is not None and kept is not None:
                self.recording.offer(kept)

    async def _answer(self, scope: Scope, receive: Receive, record: Record, kept: Answered | None) -> Written:
        ends_at = time.monotonic() + self.settings.deadline_s
        served = await self._choose(scope.get("path_params", {}))
        record.model, record.version = served.name, served.version
        headers = dict(scope["headers"])
        body = await read_body(receive, headers, record, self.settings.max_body_bytes)
        query = scope["query_string"].decode("latin-1")

        def parse() -> Payload:
            payload = self.dialect.parse(headers, query, body, self.settings.max_items)
            record.images = len(payload.images)
            return payload

        inputs: list[str | None] = []

        def predict(payload: Payload) -> Answers:
            observe: Observe | None = None if kept is None else kept.keep
            if payload.shows_input:
                observe = _keep_drawn(served.predictor, inputs, observe)
            return served.predictor.predict(payload.images, payload.top_k, payload.on_error, ends_at, observe)

        if len(body) > _QUICKLY_PARSED_BYTES:
            # Both in one slot: parsed JSON may be twenty times as large, and must not wait in the queue.
            payload, answers = await self.admission.run(lambda: (payload := parse(), predict(payload)))
        elif not (payload := parse()).shows_input and is_quick(served.predictor, payload.images, len(body)):
            answers = predict(payload)
        else:
            answers = await self.admission.run(predict, payload)
        if self.recording is not None and kept is not None:
            record.id = self.recording.name(kept, served, record.id, record.images)
        return self.dialect.write(served, payload, answers, inputs)

    async def _choose(self, path: dict[str, Any]) -> ServedVersion:
        if self.chooses_at_once:
            return self.choose(self.models, path)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.loading, self.choose, self.models, path)


def _keep_drawn(predictor: Predictor, inputs: list[str | None], other: Observe | None) -> Observe:
    """Return an observer that adds each input to `inputs`: a PNG in base64, or None if it cannot be read.

    The `other` observer, if there is one, is told as well.
    """

    def keep(seen: Seen | None) -> None:
        inputs.append(None if seen is None else b64encode(predictor.draw_input(seen.ready)).decode())
        if other is not None:
            other(seen)

    return keep


class ClientGoneError(Exception):
    """The client left while sending its request; nobody waits for an answer."""


async def read_body(
    receive: Receive, headers: Mapping[bytes, bytes], record: Record, max_bytes: int
) -> bytes:
    """Read a request's body, and put its length on the request's record.

    Raises Refusal if it is compressed, as images are already (415), or larger than `max_bytes` (413), and
    ClientGoneError if it is cut off.
    """
    if headers.get(b"content-encoding", b"").strip().lower() not in (b"", b"identity"):
        raise Refusal(
            415, "expected a body without Content-Encoding", headers={"accept-encoding": "identity"}
        )
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared[:20]) > max_bytes:
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
            raise too_large(f"a body of more than {max_bytes} bytes, the most that is allowed")
        if not message.get("more_body", False):
            record.body_bytes = size
            # Most bodies come in one piece, and are not copied.
            return b"".join([*chunks, chunk]) if chunks else chunk
        chunks.append(chunk)


def explain(error: Exception, deadline_s: float) -> Refusal:
    """Return the refusal for an error; an error that is a fault of the service is raised again."""
    match error:
        case Refusal():
            return error
        case ImageError():
            return Refusal(400, str(error), error.index)
        case UnknownModel():
            return Refusal(404, str(error))
        case Unavailable():
            return busy(str(error))
        case TimeoutError():
            return Refusal(504, f"no answer within {deadline_s:g} s")
        case ModelError():
            return Refusal(500, str(error))
        case ValueError():
            return Refusal(400, str(error))
    raise error
