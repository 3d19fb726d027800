"""Markdown for MLflow's pages, which show tables without space between their columns."""

import re
from collections.abc import Iterable

from modelyard.inference.plain_text import escape

# Marks where `compress` separates a table's columns with a space; elsewhere it must be removed.
GAP, SPACE = "\0", "&emsp;"


def words(text: str) -> str:
    """Escape text of unknown origin, a label or a file's name, so that none of it is Markdown."""
    return re.sub(r"([\\`*_\[\]<>!])", r"\\\1", escape(text))


def bullets(sentences: Iterable[str]) -> str:
    """Return a list of sentences."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table; the widest cell of every column but the last ends in GAP."""
    lines = [heading, *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    widest = [max(lines, key=lambda line: len(line[column])) for column in range(len(heading) - 1)]
    drawn = [
        [
            cell + GAP if column < len(widest) and line is widest[column] else cell
            for column, cell in enumerate(line)
        ]
        for line in lines
    ]
    return "\n".join(
        "| " + " | ".join(line) + " |" for line in [drawn[0], ["---"] * len(heading), *drawn[1:]]
    )


def compress(text: str) -> str:
    """Cut commits and digests to twelve characters, and set tables tightly, their columns apart by SPACE."""
    shorter = re.sub(r"\b([0-9a-f]{12})(?:[0-9a-f]{28}|[0-9a-f]{52})\b", r"\1", text)
    tight = re.sub(r"(?m)^\|.*\|$", lambda row: re.sub(r" ?\| ?", "|", row[0]), shorter)
    return tight.replace(GAP, SPACE)
