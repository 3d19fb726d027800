"""The page at /, which shows what versions answer. Its files hold no secret, and need no token."""

from pathlib import Path

from starlette.routing import Route

from modelyard.service.http.static_files import make_file_routes

_FOLDER = Path(__file__).parent
_FILES = {
    "/": _FOLDER / "index.html",
    **{f"/page/{file.name}": file for file in sorted(_FOLDER.rglob("*")) if file.suffix in (".css", ".js")},
}
# The page shows pictures before it sends them, and the webcam while it runs.
_POLICY = {
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "connect-src": "'self'",
    "media-src": "'self' blob:",
}
PAGE = frozenset(_FILES)


def make_page_routes() -> list[Route]:
    """Return the routes of the page and its files."""
    return make_file_routes(_FILES, _POLICY)
