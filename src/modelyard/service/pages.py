"""The documentation at /docs: a page that loads nothing from elsewhere, and may run nothing else."""

import base64
import hashlib
import re
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse

PATH = "/docs"
_FILES = "/static-offline-docs"
# Swagger UI draws with styles in its elements, and with pictures in its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self' %s; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def add_documentation(app: FastAPI) -> None:
    """Add the page and its files; the page's own script is let in by its digest."""
    app.mount(_FILES, StaticFiles(directory=Path(fastapi_offline.__file__).parent / "static"))
    page = get_swagger_ui_html(
        openapi_url=app.openapi_url or "",
        title=app.title,
        swagger_js_url=f"{_FILES}/swagger-ui-bundle.js",
        swagger_css_url=f"{_FILES}/swagger-ui.css",
        swagger_favicon_url=f"{_FILES}/favicon.png",
    )
    headers = {
        "content-security-policy": _POLICY % " ".join(_digest_scripts(bytes(page.body))),
        "referrer-policy": "no-referrer",
    }

    @app.get(PATH, include_in_schema=False)
    async def show_documentation() -> HTMLResponse:
        return HTMLResponse(page.body, headers=headers)


def _digest_scripts(page: bytes) -> list[str]:
    digests = (
        hashlib.sha256(script).digest() for script in re.findall(rb"<script>(.*?)</script>", page, re.S)
    )
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
