"""Comparisons as lines for a terminal."""

import textwrap
from collections.abc import Iterator, Sequence

from modelyard.registry.comparison.comparison import Comparison
from modelyard.registry.comparison.side_by_side import Cell, Columns
from modelyard.registry.comparison.words import (
    give_verdict,
    join,
    name_version,
    show_interval,
    show_value,
)
from modelyard.registry.parameter_words import show_setting

MARK = "*"
NARROWEST = 18
SHORT_DIGEST = 12
# The numbers of each class are for the page and for JSON.
LEFT_OUT = "class/"


def draw_table(comparisons: Sequence[Comparison], columns: int) -> str:
    """Draw a column for each version, at most `columns` wide, unless that is too narrow to read.

    All comparisons have the same first version.
    """
    lined_up = Columns(comparisons)
    sections = list(_sections(lined_up))
    names = max(len(name) for _, rows in sections for name, *_ in rows)
    longest = max(len(cell) for _, rows in sections for _, *cells in rows for cell in cells)
    count = len(lined_up.versions)
    width = min(longest, max(NARROWEST, (columns - names - count) // count))
    lines: list[str] = []
    for title, rows in sections:
        lines += ["", title] if title else []
        for row in rows:
            lines += _lay_out(row, names, width)
    first, *others = map(name_version, lined_up.versions)
    title = f"{lined_up.versions[0].name}: {first} beside {join(others)}, on {lined_up.versions[0].dataset}"
    return "\n".join([*_wrap(title, columns), "", *lines, "", *_closing(comparisons, columns)])


def _sections(columns: Columns) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    head = [
        ("", *(f"  version {one.version}" for one in columns.versions)),
        ("registered", *(f"  {one.created:%Y-%m-%d %H:%M} UTC" for one in columns.versions)),
    ]
    measures = [(name, row) for name, row in columns.measures().items() if not name.startswith(LEFT_OUT)]
    yield "", head + [(name, *(_cell(name, cell) for cell in row)) for name, row in measures]
    kinds = columns.settings()
    for kind, settings in kinds.items():
        if settings:
            rows = [(name, *(_setting(name, value) for value in row)) for name, row in settings.items()]
            yield kind if kind == "code" else f"different {kind}", rows
    if alike := [kind for kind, settings in kinds.items() if not settings]:
        yield f"the same {' and '.join(alike)}", []


def _cell(name: str, cell: Cell) -> str:
    bounds = f" ({show_interval(name, cell.interval, '-')})" if cell.interval else ""
    return f"{MARK if cell.best else ' '} {show_value(name, cell.value)}{bounds}"


def _setting(name: str, value: str | None) -> str:
    if value is None:
        return "  none"
    return f"  {value[:SHORT_DIGEST] if name.endswith(('.digest', '.commit')) else show_setting(value)}"


def _lay_out(row: Sequence[str], names: int, width: int) -> Iterator[str]:
    """Wrap cells that are too long for their column, indenting the lines that follow.

    A table of rich takes as many lines to set up, and a tenth of a second to import.
    """
    name, *cells = row
    wrapped = [textwrap.wrap(cell, width, subsequent_indent="  ") for cell in cells]
    for place in range(max(map(len, wrapped))):
        parts = [f"{lines[place] if place < len(lines) else '':<{width}}" for lines in wrapped]
        yield " ".join([f"{'' if place else name:<{names}}", *parts]).rstrip()


def _closing(comparisons: Sequence[Comparison], columns: int) -> Iterator[str]:
    yield from _wrap(f"{MARK} the better number; in brackets its 95 % interval.", columns)
    for one in comparisons:
        yield ""
        if one.same_images and (disputes := one.same_images.disagreements):
            both_wrong = sum(dispute.right is None for dispute in disputes)
            told = (
                f"Version {one.first.version} and version {one.second.version} answer {len(disputes):,} of "
            )
            told += f"the images differently, {both_wrong:,} of them wrongly by both; --html FILE shows them."
            yield from _wrap(told, columns)
        yield from _wrap(give_verdict(one), columns)


def _wrap(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, max(columns, NARROWEST))
