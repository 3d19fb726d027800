"""A comparison as lines for a terminal."""

import textwrap
from collections.abc import Iterator, Sequence

from modelyard.registry.comparison.comparison import Comparison, Measure, Setting, Side
from modelyard.registry.comparison.words import give_verdict, name_version, show_interval, show_value
from modelyard.registry.evidence import Evidence

MARK = "*"
NARROWEST = 18
SHORT_DIGEST = 12
# The numbers of each class are for the page and for JSON.
LEFT_OUT = "class/"


def draw_table(comparison: Comparison, columns: int) -> str:
    """Draw the comparison at most `columns` wide, unless that is too narrow to read."""
    sections = list(_sections(comparison))
    names = max(len(name) for _, rows in sections for name, *_ in rows)
    longest = max(len(cell) for _, rows in sections for _, *cells in rows for cell in cells)
    width = min(longest, max(NARROWEST, (columns - names - 2) // 2))
    lines: list[str] = []
    for title, rows in sections:
        lines += ["", title] if title else []
        for row in rows:
            lines += _lay_out(row, names, width)
    first, second = comparison.first, comparison.second
    title = f"{first.name}: {name_version(first)} beside {name_version(second)}, on {first.dataset}"
    return "\n".join([*_wrap(title, columns), "", *lines, "", *_closing(comparison, columns)])


def _sections(comparison: Comparison) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    first, second = comparison.first, comparison.second
    measures = [measure for measure in comparison.measures if not measure.name.startswith(LEFT_OUT)]
    head = [
        ("", f"  version {first.version}", f"  version {second.version}"),
        ("registered", _time(first), _time(second)),
    ]
    yield "", head + [(one.name, _cell(one, "first"), _cell(one, "second")) for one in measures]
    kinds = {"parameters": comparison.params, "data": comparison.data, "libraries": comparison.libraries}
    for kind, settings in kinds.items():
        if settings:
            yield f"different {kind}", [_setting(setting) for setting in settings]
    if alike := [kind for kind, settings in kinds.items() if not settings]:
        yield f"the same {' and '.join(alike)}", []
    yield "code", [_setting(setting) for setting in comparison.code]


def _cell(measure: Measure, side: Side) -> str:
    value, interval = measure.of(side)
    bounds = f" ({show_interval(measure.name, interval, '-')})" if interval else ""
    return f"{MARK if measure.better == side else ' '} {show_value(measure.name, value)}{bounds}"


def _time(evidence: Evidence) -> str:
    return f"  {evidence.created:%Y-%m-%d %H:%M} UTC"


def _setting(setting: Setting) -> tuple[str, str, str]:
    return setting.name, f"  {_shorten(setting, setting.first)}", f"  {_shorten(setting, setting.second)}"


def _shorten(setting: Setting, value: str | None) -> str:
    if value is None:
        return "none"
    return value[:SHORT_DIGEST] if setting.name.endswith((".digest", ".commit")) else value


def _lay_out(row: Sequence[str], names: int, width: int) -> Iterator[str]:
    """Wrap cells that are too long for their column, indenting the lines that follow.

    A table of rich takes as many lines to set up, and a tenth of a second to import.
    """
    name, *cells = row
    wrapped = [textwrap.wrap(cell, width, subsequent_indent="  ") for cell in cells]
    for place in range(max(map(len, wrapped))):
        parts = [lines[place] if place < len(lines) else "" for lines in wrapped]
        label = name if place == 0 else ""
        yield f"{label:<{names}} {parts[0]:<{width}} {parts[1]}".rstrip()


def _closing(comparison: Comparison, columns: int) -> Iterator[str]:
    yield from _wrap(f"{MARK} the better number; in brackets its 95 % interval.", columns)
    same = comparison.same_images
    if same and same.disagreements:
        both_wrong = sum(one.right is None for one in same.disagreements)
        yield from _wrap(
            f"{len(same.disagreements):,} images are answered differently, {both_wrong:,} of them wrongly by "
            "both; --html FILE shows them.",
            columns,
        )
    yield ""
    yield from _wrap(give_verdict(comparison), columns)


def _wrap(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, max(columns, NARROWEST))
