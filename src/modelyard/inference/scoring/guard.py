"""Guards MLflow's scoring server: refuses requests that would stall it, and shortens its errors to one line.

MLflow reads a body of any size, and repeats it in its errors.
"""

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from modelyard.inference.scoring.limits import JSON, MOST_BODY_BYTES, SHAPES, Refused, check_body, check_type

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

# This code marks an error of the model itself, whose message is one line and repeats nothing of the input.
OWN = "modelyard"
_UNCLEAR = f"expected images in one of MLflow's forms: {', '.join(SHAPES)}"


def guard_next_application() -> None:
    """Add a `Guard` to the FastAPI application that MLflow's server creates after it has loaded the model.

    Checked with MLflow 3.17, which takes the name `FastAPI` out of the package `fastapi` for that. Where it
    does not, its server runs on without a guard.
    """
    try:
        import fastapi
    except ImportError:
        logging.getLogger(__name__).warning("this MLflow's scoring server runs without modelyard's guard")
        return
    original = fastapi.FastAPI

    class GuardedApplication(original):  # type: ignore[misc,valid-type]
        def __init__(self, **options: Any) -> None:
            fastapi.FastAPI = original  # type: ignore[misc]
            super().__init__(**options)
            self.add_middleware(Guard)

    fastapi.FastAPI = GuardedApplication  # type: ignore[misc]


class Guard:
    """An ASGI middleware: checks what is posted to /invocations, and shortens its errors."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith("/invocations"):
            await self._app(scope, receive, send)
            return
        try:
            headers = dict(reversed(scope["headers"]))
            check_type(headers.get(b"content-type", b"").decode("latin-1"))
            body = await _read_body(headers, receive)
            check_body(body)
        except Refused as refused:
            await _refuse(refused, send)
        else:
            await self._app(scope, _replay(body, receive), _shorten(send))


async def _read_body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    declared = headers.get(b"content-length", b"0")
    chunks: list[bytes] = []
    size, more = int(declared) if declared.isdigit() and len(declared) < 20 else 0, True
    while more and size <= MOST_BODY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunks.append(message.get("body", b""))
        size, more = sum(map(len, chunks)), message.get("more_body", False)
    if size > MOST_BODY_BYTES:
        raise Refused(413, f"a body of more than {MOST_BODY_BYTES} bytes")
    return b"".join(chunks)


async def _refuse(refused: Refused, send: Send) -> None:
    """Answer as MLflow does: an error object, or plain text for a 415."""
    answer = {"error_code": "INVALID_PARAMETER_VALUE", "message": refused.message}
    plain = refused.status == 415
    body = refused.message.encode() if plain else json.dumps(answer).encode()
    await _answer(send, refused.status, "text/plain; charset=utf-8" if plain else JSON, body)


async def _answer(send: Send, status: int, kind: str, body: bytes) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    if status == 413:
        # The rest of the body stays unread.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _replay(body: bytes, receive: Receive) -> Receive:
    """Replay a body that has been read, then pass on what follows it."""
    read: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return read.pop() if read else await receive()

    return replay


def _shorten(send: Send) -> Send:
    """Pass answers on unchanged, and reduce an error to one line without the input."""
    status, body = 0, b""

    async def pass_on(message: Message) -> None:
        nonlocal status, body
        if message["type"] == "http.response.start" and message["status"] >= 400:
            status = message["status"]
        elif not status:
            await send(message)
        else:
            body += message.get("body", b"")
            if not message.get("more_body", False):
                await _answer(send, status, JSON, shorten_error(status, body))

    return pass_on


def shorten_error(status: int, body: bytes) -> bytes:
    """Return MLflow's error object with the model's message, or a general one if the message is MLflow's."""
    try:
        error = json.loads(body)
        if error.pop(OWN, False):
            return json.dumps(error).encode()
    except (ValueError, AttributeError):
        error = {}
    code = error.get("error_code", "INTERNAL_ERROR")
    message = _UNCLEAR if status < 500 else "the server failed"
    return json.dumps({"error_code": code, "message": message}).encode()
