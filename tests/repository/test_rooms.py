"""Every folder of the package is small enough to see whole, and what docs/ says to open is there."""

import re
from collections import Counter

from conftest import ROOT, SLOW

PACKAGE = ROOT / "src/modelyard"
MOST_FILES = 12
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()


def test_no_folder_has_more_than_twelve_files() -> None:
    files = [file for file in PACKAGE.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    counts = Counter(str(file.parent.relative_to(PACKAGE)) for file in files)
    assert counts["cli/commands"]
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_what_to_open_for_a_change_is_there() -> None:
    rows = [line for line in ARCHITECTURE.splitlines() if line.startswith("| ")]
    assert any("`registry/champions/gate.py`" in row for row in rows)
    assert {word for row in rows for word in find_missing(row)} == set()


def find_missing(row: str) -> set[str]:
    """Return the paths in a row that lead nowhere; a short one is beside or below another one of the row."""
    words = {word.rstrip("/") for word in re.findall(r"`([\w/.]+[./][\w/.]*)`", row)}
    found = {word: place / word for word in words for place in (PACKAGE, ROOT) if (place / word).exists()}
    folders = {path if path.is_dir() else path.parent for path in found.values()}
    return {word for word in words - found.keys() if not any(list(one.rglob(word)) for one in folders)}


def test_every_file_of_tests_that_is_called_slow_is_there() -> None:
    assert {name for name in SLOW if not (ROOT / "tests" / name).is_file()} == set()
