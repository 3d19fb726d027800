"""A dataset of your own: a folder of PNG or JPEG files for each class."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError, named
from modelyard.images.dataset import Obtained
from modelyard.images.folders.listing import (
    LAYOUT,
    SPLITS,
    Listed,
    Listing,
    describe_skipped,
    list_pictures,
    name_some,
)
from modelyard.images.folders.picture_check import Look, look_at
from modelyard.images.pictures import PictureFiles, label_type
from modelyard.images.threads import work_through
from modelyard.inference.decoding.formats import NAMES
from modelyard.params import FolderDataset

# A copy stays in the first of these splits that has it.
_PRECEDENCE = ("test", "validation", "train")


@dataclass(frozen=True)
class Seen:
    """A picture: its place, and its digests."""

    file: Listed
    look: Look


def obtain_folder(data: FolderDataset, folder: Path) -> Obtained:
    """Check every file of a folder: each is read and decoded once, and only its digests are kept.

    `folder` is where `data.path` leads; messages have paths below it. Returns the splits that the
    folder has; `facts` has the files that were left out.

    Raises ModelyardError if the folder has another layout; a file is not a whole PNG or JPEG, and
    data.on_unreadable is "stop"; there are fewer than two classes, or fewer than two pictures of one; or
    copies of a picture are in different classes.
    """
    with named(data.path):
        return _obtain(data, folder)


def _obtain(data: FolderDataset, folder: Path) -> Obtained:
    listing = list_pictures(folder, data.classes)
    _refuse_few(listing, listing.files)
    seen, unreadable = _look(folder, listing)
    if data.on_unreadable == "stop":
        _refuse_unreadable(unreadable)
    _refuse_few(listing, [picture.file for picture in seen])
    _refuse_two_labels(seen)
    kept, shared = _part_copies(seen)
    copies = {each.file.path: "a copy of a picture in another split" for each in shared}
    _tell(data, f"files that are not whole {NAMES}", unreadable)
    _tell(data, "copies of pictures in test/ or validation/", copies)
    print(f"{data.path}: {len(kept):,} pictures; {describe_skipped(listing.skipped)}", file=sys.stderr)
    facts = {"skipped": listing.skipped, "left_out": unreadable | copies}
    training, validation, test = (
        [picture for picture in kept if picture.file.split == split] for split in SPLITS
    )
    # An order independent of the classes, so that the first pictures are some of each.
    training.sort(key=lambda picture: picture.look.pixels)
    return Obtained(
        _collect(training, listing, folder),
        _collect(validation, listing, folder) if "validation" in listing.splits else None,
        _collect(test, listing, folder) if "test" in listing.splits else None,
        data.path,
        facts,
        _number_copies(training),
    )


def _refuse_few(listing: Listing, files: Iterable[Listed]) -> None:
    if len(listing.classes) < 2:
        found = f"found {len(listing.classes)} class ({', '.join(listing.classes) or 'none'})"
        raise ModelyardError(f"{LAYOUT}, and at least two classes; {found}")
    counts = Counter(file.label for file in files)
    few = [f"{name}: {counts[label]}" for label, name in enumerate(listing.classes) if counts[label] < 2]
    if few:
        raise ModelyardError(
            f"expected at least two pictures of each class, found fewer of some {name_some(few)}\n"
            "Add pictures, or remove the folder."
        )


def _look(folder: Path, listing: Listing) -> tuple[list[Seen], dict[str, str]]:
    """Return the pictures and, by path, the reason why each other file is not one."""
    paths = [*(file.path for file in listing.files), *listing.strays]
    looks = work_through(lambda path: look_at(folder / path), paths, "reading")
    seen = [
        Seen(file, look) for file, look in zip(listing.files, looks, strict=False) if isinstance(look, Look)
    ]
    unreadable = {
        path.encode(errors="backslashreplace").decode(): look
        for path, look in zip(paths, looks, strict=True)
        if isinstance(look, str)
    }
    return seen, unreadable


def _refuse_unreadable(unreadable: Mapping[str, str]) -> None:
    if unreadable:
        reasons = [f"{path}: {reason}" for path, reason in unreadable.items()]
        raise ModelyardError(
            f"expected whole {NAMES} files only, found others {name_some(reasons)}\n"
            "Remove them, or leave them out with `on_unreadable: skip` in the dataset's file in conf/data."
        )


def _tell(data: FolderDataset, what: str, left_out: Mapping[str, str]) -> None:
    if left_out:
        some = ", ".join(list(left_out)[:3]) + ", ..." * (len(left_out) > 3)
        print(f"{data.path}: left out, {what} ({len(left_out):,}): {some}", file=sys.stderr)


def _collect(pictures: Sequence[Seen], listing: Listing, folder: Path) -> PictureFiles:
    labels = np.array([picture.file.label for picture in pictures], label_type(len(listing.classes)))
    paths = tuple(picture.file.path for picture in pictures)
    sha256 = tuple(picture.look.sha256 for picture in pictures)
    return PictureFiles(labels, listing.classes, folder, paths, sha256)


def _refuse_two_labels(pictures: Iterable[Seen]) -> None:
    """Raise a ModelyardError, with both paths, for copies that are in different classes."""
    first: dict[str, Listed] = {}
    pairs = []
    for picture in pictures:
        other = first.setdefault(picture.look.pixels, picture.file)
        if other.label != picture.file.label:
            pairs.append(f"{other.path} and {picture.file.path}")
    if pairs:
        raise ModelyardError(
            f"expected each picture in one class, found copies in two {name_some(pairs)}\n"
            "Remove the file of each pair that lies in the wrong folder."
        )


def _part_copies(pictures: Sequence[Seen]) -> tuple[list[Seen], list[Seen]]:
    """Return the pictures without copies from another split, and these copies; test keeps all of its own."""
    owner: dict[str, str] = {}
    for picture in sorted(pictures, key=lambda picture: _PRECEDENCE.index(picture.file.split)):
        owner.setdefault(picture.look.pixels, picture.file.split)
    kept = [picture for picture in pictures if owner[picture.look.pixels] == picture.file.split]
    dropped = [picture for picture in pictures if owner[picture.look.pixels] != picture.file.split]
    return kept, dropped


def _number_copies(pictures: Sequence[Seen]) -> NDArray[Any]:
    """Return (n,), the same number for copies of a picture."""
    _, numbers = np.unique([picture.look.pixels for picture in pictures], return_inverse=True)
    return numbers
