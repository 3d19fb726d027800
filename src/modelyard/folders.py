"""Folders that appear whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Give a new folder beside `path` to fill; at the end it takes the place of `path`.

    When the body fails, or the process is killed, `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".new", dir=path.parent) as beside:
        new = Path(beside, "new")
        new.mkdir()
        yield new
        if path.exists():
            path.replace(Path(beside, "old"))
        new.replace(path)
