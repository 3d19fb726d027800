"""The documentation at /docs: Swagger UI over the OpenAPI document, which loads nothing from elsewhere."""

from importlib.util import find_spec
from pathlib import Path

from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from modelyard.service.http.static_files import make_file_routes

_PAGES = Path(__file__).parent
# Swagger UI has inline styles, and pictures in its style sheet.
_POLICY = {
    "script-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
}


def make_documentation_routes() -> list[BaseRoute]:
    """Return the routes of the page, its script, and the files of Swagger UI, which a package brings."""
    files = {"/docs": _PAGES / "docs.html", "/docs.js": _PAGES / "docs.js"}
    return [
        *make_file_routes(files, _POLICY),
        Mount("/swagger-ui", StaticFiles(directory=_find_swagger_ui())),
    ]


def _find_swagger_ui() -> Path:
    """Find the files without importing the package, which would import FastAPI."""
    found = find_spec("fastapi_offline")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("expected the package fastapi-offline, which brings Swagger UI: install it")
    return Path(found.origin).parent / "static"
