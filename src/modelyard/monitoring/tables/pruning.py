"""Old parts and pictures, found and removed: their owner decides how long answers are kept."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from modelyard.monitoring.tables.places import IMAGES, Place
from modelyard.monitoring.tables.schema import ANSWERS, LABELS, read_day

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo

# Left by a process that was killed while it wrote; no process needs that long for a part.
_LEFT, _LEFT_AFTER = ".new", timedelta(days=1)


def find_old(place: Place, before: datetime) -> list["FileInfo"]:
    """Find parts whose whole day lies before a time, and pictures that were last written before it.

    They include the unfinished files of killed processes, once these are a day old. Raises OSError if the
    place cannot be read.
    """
    left_before = datetime.now(UTC) - _LEFT_AFTER
    return [
        file
        for folder in (ANSWERS.name, LABELS.name, IMAGES)
        for file in _list_files(place, folder)
        if _is_old(file, folder, before) or (file.base_name.endswith(_LEFT) and file.mtime < left_before)
    ]


def remove_files(place: Place, files: list["FileInfo"]) -> None:
    """Remove files; one that is gone already is skipped.

    Raises OSError if one cannot be removed.
    """
    for file in files:
        try:
            place.files.delete_file(file.path)
        except FileNotFoundError:
            continue


def _list_files(place: Place, folder: str) -> Iterator["FileInfo"]:
    from pyarrow.fs import FileSelector

    selector = FileSelector(f"{place.root}/{folder}", recursive=True, allow_not_found=True)
    return (file for file in place.files.get_file_info(selector) if file.is_file)


def _is_old(file: "FileInfo", folder: str, before: datetime) -> bool:
    if folder == IMAGES:
        return bool(file.mtime < before)
    day = read_day(file.path)
    return day is not None and datetime.combine(day, time.min, UTC) + timedelta(days=1) <= before
