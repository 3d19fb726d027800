"""The documentation at /docs: Swagger UI over the OpenAPI document, which loads nothing from elsewhere."""

from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

_PAGES = Path(__file__).parent / "docs"
# Swagger UI draws with styles in its elements, and with pictures in its style sheet.
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
}


def make_documentation_routes() -> list[BaseRoute]:
    """Return the page, its script, and Swagger UI's own files, which a package brings."""
    return [
        Route("/docs", _show_page),
        Route("/docs.js", _show_script),
        Mount("/swagger-ui", StaticFiles(directory=_find_swagger_ui())),
    ]


def _find_swagger_ui() -> Path:
    """Find the files without an import of the package, which would bring FastAPI along."""
    found = find_spec("fastapi_offline")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("expected the package fastapi-offline, which brings Swagger UI: install it")
    return Path(found.origin).parent / "static"


async def _show_page(request: Request) -> Response:  # noqa: ARG001
    return FileResponse(_PAGES / "docs.html", headers=_HEADERS)


async def _show_script(request: Request) -> Response:  # noqa: ARG001
    return FileResponse(_PAGES / "docs.js")
