"""HEAD, which is answered as GET is, without the body."""

from starlette.types import ASGIApp, Receive, Scope, Send


class Heads:
    """An ASGI application around one that knows no HEAD; the server leaves the bodies out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, HEAD as GET."""
        # In a copy: the server and the record go by the method of their own.
        asked = {**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope
        await self._app(asked, receive, send)
