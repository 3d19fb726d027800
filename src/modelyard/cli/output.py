"""What commands print: lines of plain text, and JSON."""

import json
import sys
from typing import Any

from modelyard.inference.plain_text import escape


def say(line: str, *, error: bool = False) -> None:
    """Print one line, to stderr if it is an error; characters that do not print are escaped."""
    print(escape(line), file=sys.stderr if error else sys.stdout, flush=True)


def say_json(value: Any, indent: int | None = None) -> None:
    """Print plain values as JSON in ASCII, which any program reads from any terminal."""
    print(json.dumps(value, indent=indent, allow_nan=False), flush=True)
