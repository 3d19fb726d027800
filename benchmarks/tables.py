"""Tables for people: columns on the terminal, and Markdown."""

# The first line is the head.
Table = list[list[str]]


def align(table: Table) -> list[str]:
    """Make columns of a table: numbers to the right, with their heads, and words to the left."""
    columns = []
    for head, *cells in zip(*table, strict=True):
        column = [head, *cells]
        width = max(len(cell) for cell in column)
        right = all(_is_number(cell) for cell in cells)
        columns.append([cell.rjust(width) if right else cell.ljust(width) for cell in column])
    return ["  " + "  ".join(line).rstrip() for line in zip(*columns, strict=True)]


def mark_down(table: Table) -> list[str]:
    """Make the lines of a table in Markdown: all columns but the first to the right."""
    head, *lines = [f"| {' | '.join(line)} |" for line in table]
    rule = "|" + "|".join("---" if place == 0 else "---:" for place in range(len(table[0]))) + "|"
    return [head, rule, *lines]


def _is_number(cell: str) -> bool:
    return not cell or cell[0].isdigit()
