"""A dataset of one's own: a folder of PNG or JPEG files for each class."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.images.dataset import Obtained
from modelyard.images.folders.checking import Look, look_at
from modelyard.images.folders.copies import Seen, number_copies, part_copies, refuse_two_labels
from modelyard.images.folders.listing import (
    LAYOUT,
    SPLITS,
    Listed,
    Listing,
    describe_skipped,
    list_pictures,
    name_some,
)
from modelyard.images.pictures import PictureFiles, label_type
from modelyard.images.threads import work_through
from modelyard.params import FolderDataset


def obtain_folder(data: FolderDataset, folder: Path) -> Obtained:
    """Check every file of a folder: each is read and decoded once, and only its digests are kept.

    `folder` is where `data.path` is to be found; messages have paths below it. Returns the splits that the
    folder has; `facts` has the files that were left out.

    Raises:
        ModelyardError: the folder has another layout; a file is no whole PNG or JPEG, and data.on_unreadable
            is "stop"; there are fewer than two classes, or than two pictures of one; copies of a picture are
            in different classes.
    """
    try:
        return _obtain(data, folder)
    except ModelyardError as error:
        raise ModelyardError(f"{data.path}: {error}") from None


def _obtain(data: FolderDataset, folder: Path) -> Obtained:
    listing = list_pictures(folder, data.classes)
    _refuse_few(listing, listing.files)
    seen, unreadable = _look(folder, listing)
    if data.on_unreadable == "stop":
        _refuse_unreadable(unreadable)
    _refuse_few(listing, [picture.file for picture in seen])
    refuse_two_labels(seen)
    kept, shared = part_copies(seen)
    copies = {each.file.path: "a copy of a picture in another split" for each in shared}
    _tell(data, "files that are no whole PNG or JPEG", unreadable)
    _tell(data, "copies of pictures in test/ or validation/", copies)
    print(f"{data.path}: {len(kept):,} pictures; {describe_skipped(listing.skipped)}", file=sys.stderr)
    facts = {"skipped": listing.skipped, "left_out": unreadable | copies}
    training, validation, test = (
        [picture for picture in kept if picture.file.split == split] for split in SPLITS
    )
    # In an order that has nothing to do with the classes: the first so many pictures are some of each.
    training.sort(key=lambda picture: picture.look.pixels)
    return Obtained(
        _collect(training, listing, folder),
        _collect(validation, listing, folder) if "validation" in listing.splits else None,
        _collect(test, listing, folder) if "test" in listing.splits else None,
        data.path,
        facts,
        number_copies(training),
    )


def _refuse_few(listing: Listing, files: Iterable[Listed]) -> None:
    """Refuse too few classes or pictures to learn from."""
    if len(listing.classes) < 2:
        found = f"found {len(listing.classes)} class ({', '.join(listing.classes) or 'none'})"
        raise ModelyardError(f"{LAYOUT}, and at least two classes; {found}")
    counts = Counter(file.label for file in files)
    few = [f"{name}: {counts[label]}" for label, name in enumerate(listing.classes) if counts[label] < 2]
    if few:
        raise ModelyardError(
            f"expected at least two pictures of each class, found fewer of some {name_some(few)}\n"
            "Add pictures, or take the folder away."
        )


def _look(folder: Path, listing: Listing) -> tuple[list[Seen], dict[str, str]]:
    """Return the pictures, and the reason for each file that is none, by its path."""
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
            f"expected whole PNG or JPEG files only, found others {name_some(reasons)}\n"
            "Take them away, or leave them out with `on_unreadable: skip` in the dataset's file in conf/data."
        )


def _tell(data: FolderDataset, what: str, left_out: Mapping[str, str]) -> None:
    """Print in one line what is left out, if anything is."""
    if left_out:
        some = ", ".join(list(left_out)[:3]) + ", ..." * (len(left_out) > 3)
        print(f"{data.path}: left out, {what} ({len(left_out):,}): {some}", file=sys.stderr)


def _collect(pictures: Sequence[Seen], listing: Listing, folder: Path) -> PictureFiles:
    labels = np.array([picture.file.label for picture in pictures], label_type(len(listing.classes)))
    paths = tuple(picture.file.path for picture in pictures)
    sha256 = tuple(picture.look.sha256 for picture in pictures)
    return PictureFiles(labels, listing.classes, folder, paths, sha256)
