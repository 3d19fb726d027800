"""`POST /feedback`: the right label of a picture that was answered."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from modelyard.monitoring.tables.schema import FEEDBACK
from modelyard.service.http.admission import Admission
from modelyard.service.http.front import RECORD, Record, send_answer
from modelyard.service.http.refusals import Refusal, busy
from modelyard.service.models.models import Models, Unavailable, UnknownModel
from modelyard.service.protocols.dialect import JSON, load_json
from modelyard.service.protocols.own import OwnDialect
from modelyard.service.protocols.predictions import ClientGoneError, explain, read_body
from modelyard.service.recording.ids.label_order import LabelOrder
from modelyard.service.recording.ids.marked_ids import Given
from modelyard.service.recording.recording import Recording
from modelyard.service.settings import Settings

PATH = "/feedback"
# A label and an id, with room to spare.
MOST_BYTES = 4_096
_UNKNOWN = (
    "id: expected the X-Request-ID of an answer, got one that was never given (one that a client chose is "
    "known to all processes from a minute after the answer, for a day)"
)
_KEYS = {"id", "index", "label"}


class Feedback:
    """An ASGI endpoint that records labels; its requests are admitted like all others.

    The answer is a 202: the label is written with the next part, within a minute.
    """

    def __init__(
        self,
        models: Models,
        settings: Settings,
        admission: Admission,
        loading: ThreadPoolExecutor,
        recording: Recording,
    ) -> None:
        self._models, self._settings, self._admission = models, settings, admission
        self._loading, self._recording, self._times = loading, recording, LabelOrder()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record a label, or refuse it."""
        try:
            with self._admission.admit():
                async with asyncio.timeout(self._settings.deadline_s):
                    body = await self._keep(scope, receive)
        except ClientGoneError:
            return
        except Exception as error:
            refusal = explain(error, self._settings.deadline_s)
            body, kind = OwnDialect().refuse(refusal)
            await send_answer(send, refusal.status, body, kind, refusal.headers)
        else:
            await send_answer(send, 202, body)

    async def _keep(self, scope: Scope, receive: Receive) -> bytes:
        headers = dict(scope["headers"])
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != JSON.encode():
            raise Refusal(415, f"expected the content type {JSON}")
        most = min(MOST_BYTES, self._settings.max_body_bytes)
        record: Record = scope[RECORD]
        body = await read_body(receive, headers, record, most)
        request_id, index, label = _read_fields(body)
        loop = asyncio.get_running_loop()
        given = await loop.run_in_executor(self._loading, self._check, request_id, index, label)
        record.model, record.version = given.model, given.version
        time_us = self._times.choose(request_id, index)
        row = (time_us, request_id, index, str(given.version), "", label, FEEDBACK)
        if not self._recording.offer_label(given.model, row):
            raise busy("the record cannot take labels now, try again later")
        told = {"id": request_id, "index": index, "label": label}
        return orjson.dumps({**told, "model": given.model, "version": given.version})

    def _check(self, request_id: str, index: int, label: str) -> Given:
        try:
            given = self._recording.ids.find(request_id)
        except BlockingIOError:
            raise busy("another id is being looked up, try again in a second") from None
        if given is None:
            raise Refusal(404, _UNKNOWN)
        if index >= given.images:
            raise Refusal(400, f"index: expected 0 to {given.images - 1}, got {index}")
        labels = self._list_labels(given)
        if label not in labels:
            raise Refusal(400, f"label: expected one of the {len(labels)} of {given.model}, got another")
        return given

    def _list_labels(self, given: Given) -> set[str]:
        """Return the labels of the version that answered, or of the champion if that is gone."""
        try:
            served = self._models.get(given.model, version=given.version)
        except (UnknownModel, Unavailable):
            served = self._models.get(given.model)
        return {label.name for label in served.predictor.bundle.labels if label.name is not None}


def _read_fields(body: bytes) -> tuple[str, int, str]:
    fields = load_json(body)
    if not isinstance(fields, dict) or not {"id", "label"} <= fields.keys() <= _KEYS:
        raise Refusal(400, "expected a JSON object with id, index (0 where it is missing) and label")
    values: dict[str, Any] = {"index": 0, **fields}
    kinds = {"id": str, "index": int, "label": str}
    for name, kind in kinds.items():
        if type(values[name]) is not kind or (name == "index" and not 0 <= values[name] < 2**31):
            raise Refusal(400, f"{name}: expected {'text' if kind is str else 'a whole number from 0'}")
    return values["id"], values["index"], values["label"]
