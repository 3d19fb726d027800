"""The way of a request for predictions past FastAPI, whose own stack takes longer than a small network."""

from collections.abc import Sequence

from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send


class Shortcut:
    """An ASGI application that calls the endpoint of the first of its routes that matches.

    Args:
        routes: whose endpoints are ASGI applications, and raise no HTTPException.
        otherwise: for all that no route matches by path and method.
    """

    def __init__(self, routes: Sequence[Route], otherwise: ASGIApp) -> None:
        self._routes, self._otherwise = routes, otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let answer."""
        if scope["type"] == "http":
            for route in self._routes:
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.update(found)
                    await route.app(scope, receive, send)
                    return
        await self._otherwise(scope, receive, send)
