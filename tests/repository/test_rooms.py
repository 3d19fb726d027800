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
    table = [line for line in ARCHITECTURE.splitlines() if line.startswith("| ")]
    named = {word for line in table for word in re.findall(r"`([\w/.]+[./][\w/.]*)`", line)}
    assert "registry/champions/gate.py" in named
    assert {word for word in named if not ((PACKAGE / word).exists() or (ROOT / word).exists())} == set()


def test_every_file_of_tests_that_is_called_slow_is_there() -> None:
    assert {name for name in SLOW if not (ROOT / "tests" / name).is_file()} == set()
