"""What commands print: lines of plain text, and JSON."""

import json
import sys
from pathlib import Path
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.files import replace_file
from modelyard.inference.plain_text import escape


def say(line: str, *, error: bool = False) -> None:
    """Print one line, to stderr if it is an error; characters that do not print are escaped."""
    print(escape(line), file=sys.stderr if error else sys.stdout, flush=True)


def say_json(value: Any, indent: int | None = None) -> None:
    """Print plain values as JSON in ASCII, which any program reads from any terminal."""
    print(json.dumps(value, indent=indent, allow_nan=False), flush=True)


def write_html(path: Path, page: str) -> None:
    """Write the page of --html, whole or not at all; raise ModelyardError if that fails."""
    try:
        with replace_file(path) as new:
            new.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ModelyardError(f"--html {path}: expected a file to write: {error.strerror}") from None
