"""What commands print: lines, in which nothing but text is printed, and JSON."""

import json
import sys
from typing import Any

from modelyard.inference.plain_text import escape


def say(line: str, *, error: bool = False) -> None:
    """Print one line, to stderr where it tells an error; what is no text in it is shown escaped."""
    print(escape(line), file=sys.stderr if error else sys.stdout, flush=True)


def say_json(value: Any, indent: int | None = None) -> None:
    """Print plain values as JSON, in ASCII: any program reads it, from any terminal, whatever is in them."""
    print(json.dumps(value, indent=indent, allow_nan=False))
