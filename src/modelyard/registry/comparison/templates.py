"""HTML templates of comparisons and reports: page.css here is the style of both."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.inference.plain_text import escape

if TYPE_CHECKING:
    from jinja2 import Environment


@functools.cache
def open_templates(folder: Path) -> "Environment":
    """Open the templates of a folder, always the same object; text from others stays text in them."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        finalize=lambda value: escape(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
