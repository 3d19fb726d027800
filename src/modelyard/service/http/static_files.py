"""Static pages: read once at the start, answered from memory, under a strict policy."""

from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


_RULES = dict.fromkeys(("default-src", "base-uri", "form-action", "frame-ancestors"), "'none'")


def make_file_routes(files: Mapping[str, Path], policy: Mapping[str, str]) -> list[Route]:
    """Return a route for each file, by its path in the service: .html, .css or .js, in UTF-8.

    The policy says what a page may load, such as {"script-src": "'self'"}; it may load nothing else.
    """
    headers = {
        "content-security-policy": "; ".join(
            f"{name} {given}" for name, given in {**_RULES, **policy}.items()
        ),
        "referrer-policy": "no-referrer",
    }
    return [_make_route(path, file, headers) for path, file in files.items()]


def _make_route(path: str, file: Path, headers: Mapping[str, str]) -> Route:
    content, kind = file.read_bytes(), _KINDS[file.suffix]

    async def show(request: Request) -> Response:  # noqa: ARG001
        return Response(content, headers={**headers, "content-type": kind})

    return Route(path, show)
