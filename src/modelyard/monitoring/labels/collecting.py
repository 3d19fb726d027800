"""Labelled pictures from live answers, as folders to train and evaluate with."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from modelyard.files import replace_file
from modelyard.images.additions.additions import RECENT, TRAIN, name_folder
from modelyard.images.pictures import LIMITS, digest_arrays
from modelyard.inference.decoding.formats import NAMES
from modelyard.inference.decoding.images import ImageError, decode
from modelyard.monitoring.labels.truths import Truths, read_truths
from modelyard.monitoring.tables.kept_images import read_image
from modelyard.monitoring.tables.places import Place
from modelyard.monitoring.tables.reading import THREADS, Skipped, Wanted, read_days
from modelyard.monitoring.tables.schema import ANSWERS

_COLUMNS = ("time", "request_id", "index", "sha256")
# Hex digits of a digest: enough for an exact share of the pictures.
_DIGITS = 8
# Files that are in memory at once.
_AHEAD = 64


@dataclass
class Collected:
    """How many pictures were written to which folder, and how many were left out, by reason."""

    written: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    skipped: Skipped = field(default_factory=Skipped)


@dataclass(frozen=True)
class Wish:
    """What is collected: of which model, from when to when, which labels, and the share kept as recent."""

    model: str
    since: datetime
    until: datetime
    classes: Sequence[str]
    recent: float


def collect(place: Place, wish: Wish, test: Collection[str], out: Path) -> Collected:
    """Write labelled pictures to `out`/train/CLASS and `out`/recent/CLASS, each under its file's digest.

    The digest of its pixels decides whether a picture is recent, so copies and later calls agree. What an
    earlier call wrote stays; a picture that has another label now moves to its class. `test` has digests of
    the pixels of the test split, as `digest_pictures` returns them; `out` is created if missing.

    Raises ModelyardError if the place cannot be read, and OSError if `out` cannot be written.
    """
    collected = Collected()
    truths = read_truths(place, wish.model, wish.until, collected.skipped)
    labels = _find_labels(place, wish, truths, collected)
    known: set[str] = set()
    # The label given last comes first, and stays where copies have several.
    ordered = sorted(labels.items(), key=lambda item: (item[1][0], item[0]), reverse=True)
    for sha256, label, found in _read_images(place, wish.model, [(one, last[1]) for one, last in ordered]):
        if found is None:
            collected.left_out["their files were not kept"] += 1
            continue
        content, suffix = found
        try:
            pixels = digest_arrays(decode(content, LIMITS))
        except ImageError:
            collected.left_out[f"they are not whole {NAMES} files"] += 1
            continue
        if label not in wish.classes:
            collected.left_out["their label is not a class of the dataset"] += 1
        elif pixels in test:
            collected.left_out["they are in the test split"] += 1
        elif pixels in known:
            collected.left_out["they are copies"] += 1
        else:
            known.add(pixels)
            split = RECENT if int(pixels[:_DIGITS], 16) < wish.recent * 16**_DIGITS else TRAIN
            _place(out, Path(split, name_folder(label), f"{sha256}{suffix}"), content)
            collected.written[split] += 1
    return collected


def _read_images(
    place: Place, model: str, labels: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, str, tuple[bytes, str] | None]]:
    """Yield each digest and label with its file, in order; a few are fetched at once."""
    with ThreadPoolExecutor(THREADS) as threads:
        for start in range(0, len(labels), _AHEAD):
            chosen = labels[start : start + _AHEAD]
            files = threads.map(lambda one: read_image(place, model, one[0]), chosen)
            for (sha256, label), found in zip(chosen, files, strict=True):
                yield sha256, label, found


def _find_labels(
    place: Place, wish: Wish, truths: Truths, collected: Collected
) -> dict[str, tuple[datetime, str]]:
    """Return the last label of each picture answered in the period, with its time, by SHA-256."""
    found: dict[str, tuple[datetime, str]] = {}
    for sha256, request_id, index in _list_answers(place, wish, truths, collected.skipped):
        last = truths.find(request_id, index, sha256)
        if last is not None:
            found[sha256] = max(last, found.get(sha256, last))
    return found


def _list_answers(
    place: Place, wish: Wish, truths: Truths, skipped: Skipped
) -> Iterator[tuple[str, str, int]]:
    wanted = Wanted(ANSWERS, wish.model, _COLUMNS, wish.since, wish.until)
    for _, parts in read_days(place, wanted, skipped):
        for rows in parts:
            known = rows.filter(truths.know(rows)).to_pydict()
            yield from zip(known["sha256"], known["request_id"], known["index"], strict=True)


def _place(out: Path, path: Path, content: bytes) -> None:
    """Write a picture, unless it is there, and remove it from any other class or split."""
    for old in out.glob(f"*/*/{path.name}"):
        if old != out / path:
            old.unlink()
    if not (out / path).exists():
        with replace_file(out / path) as new:
            new.write_bytes(content)
