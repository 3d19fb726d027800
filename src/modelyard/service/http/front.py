"""The first layer that a request passes: it gets an id, its token is checked, and it is recorded."""

import hmac
import logging
import re
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard.service.http.connections.connection import CROWDED, REFUSED
from modelyard.service.http.connections.draining import Draining
from modelyard.service.http.log_writer import AccessLog
from modelyard.service.http.metrics import Metrics
from modelyard.service.http.refusals import RETRY_AFTER
from modelyard.service.settings import Settings

# An orchestrator's probes have no token, and are answered even if there are too many connections.
OPEN = ("/livez", "/readyz")
# Where an endpoint finds the request's record, in the ASGI scope.
RECORD = "modelyard.record"
# The recorded status of a client that left before its answer, as in nginx.
CLIENT_GONE = 499
_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_log = logging.getLogger(__name__)


@dataclass
class Record:
    """What the log and the metrics say about a request; endpoints fill it in.

    `id` is echoed as X-Request-ID; it is "" if the client sent none, until one is given with the answer.
    `model` is "", and `version` 0, unless the request has found a version.
    """

    id: str = ""
    model: str = ""
    version: int = 0
    images: int = 0
    body_bytes: int = 0

    def give_id(self) -> str:
        """Return the id, which is made if there is none."""
        self.id = self.id or secrets.token_hex(8)
        return self.id


class Front:
    """An ASGI application around the whole service; paths in OPEN and `without_token` need no token."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        metrics: Metrics,
        log: AccessLog,
        draining: Draining,
        without_token: Collection[str] = (),
    ) -> None:
        self._app = app
        self._expected = None if settings.token is None else f"bearer {settings.token}".encode()
        self._metrics = metrics
        self._log = log
        self._draining = draining
        self._without_token = without_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with 401."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        record = Record(_read_id(headers.get(b"x-request-id")))
        scope[RECORD] = record
        status = CLIENT_GONE

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                added = [(b"x-request-id", record.give_id().encode())]
                if self._draining.begun:
                    added.append((b"connection", b"close"))
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        self._metrics.enter()
        try:
            if scope["path"] in OPEN:
                await self._app(scope, receive, answer)
            elif CROWDED in scope:
                await send_answer(answer, 503, _CROWDED, headers={**RETRY_AFTER, "connection": "close"})
            elif self._lets_in(headers.get(b"authorization", b"")) or scope["path"] in self._without_token:
                await self._app(scope, receive, answer)
            else:
                await send_answer(answer, 401, _NO_TOKEN, headers={"www-authenticate": "Bearer"})
        except Exception:
            _log.exception("request %s failed", record.give_id())
            if status == CLIENT_GONE:
                await send_answer(answer, 500, _FAULT)
        finally:
            self._record(scope, record, status, time.perf_counter() - started)

    def record_refused(self, status: int, method: str, path: str, seconds: float) -> str:
        """Record input that the connection itself refused, and return the id of the record.

        The status is 408 where nothing was sent; method and path are "" unless they were read.
        """
        record = Record()
        self._metrics.enter()
        self._record({"method": method, "path": path}, record, status, seconds)
        return record.id

    def _lets_in(self, given: bytes) -> bool:
        if self._expected is None:
            return True
        scheme, _, token = given.partition(b" ")
        return hmac.compare_digest(scheme.lower() + b" " + token.strip(), self._expected)

    def _record(self, scope: Scope, record: Record, status: int, seconds: float) -> None:
        if status == CLIENT_GONE:
            status = scope.get(REFUSED, status)
        self._metrics.leave(record.model, record.version, status, seconds)
        self._log.write(
            {
                "time": datetime.now(UTC),
                "id": record.give_id(),
                "method": scope["method"],
                "path": scope["path"][:200],
                "status": status,
                "ms": round(seconds * 1000, 3),
                "model": record.model,
                "version": record.version,
                "images": record.images,
                "body_bytes": record.body_bytes,
            }
        )


_NO_TOKEN = orjson.dumps(
    {"error": "expected the header 'Authorization: Bearer TOKEN' with the service's token"}
)
_CROWDED = orjson.dumps({"error": "busy: too many connections are open, try again in a second"})
_NONE: Mapping[str, str] = MappingProxyType({})
_FAULT = orjson.dumps({"error": "the service failed; its log has the reason under this X-Request-ID"})


async def send_answer(
    send: Send, status: int, body: bytes, kind: str = "application/json", headers: Mapping[str, str] = _NONE
) -> None:
    """Send a whole answer of the content type `kind`."""
    sent = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    sent += [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})


def _read_id(given: bytes | None) -> str:
    # Any other id could forge lines in the logs of other services.
    return given.decode() if given is not None and _ID.fullmatch(given) else ""
