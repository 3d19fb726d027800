"""Pictures that are added to a dataset: to train on, and recent ones, which only evaluation reads."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.images.additions.joined import JoinedPictures
from modelyard.images.folders.picture_check import Look, look_at
from modelyard.images.pictures import PictureFiles, Pictures, digest_arrays, label_type
from modelyard.images.threads import work_through
from modelyard.inference.decoding.formats import NAMES

TRAIN, RECENT = "train", "recent"


def name_folder(label: str) -> str:
    """Return the name of a class's folder: its own, percent-encoded where a folder cannot have that name."""
    name = label.replace("%", "%25").replace("/", "%2F")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def add_pictures(splits: Mapping[str, Pictures], folder: Path) -> dict[str, Pictures]:
    """Return the splits of a dataset with a folder's pictures: more to train on, and the split `recent`.

    The added ones come first, so that training on a part of the pictures includes all of them. Raises
    ModelyardError as `read_additions` does.
    """
    held = [splits[name] for name in ("validation", "test")]
    some = any((folder / split).is_dir() for split in (TRAIN, RECENT))
    kept_out = set().union(*map(digest_pictures, held)) if some else set()
    known = splits["train"]
    added, recent = read_additions(folder, known.classes, kept_out)
    if len(added) and not isinstance(known, JoinedPictures):
        known = JoinedPictures(known, added, np.arange(len(added) + len(known)))
    return {**splits, "train": known, RECENT: recent}


def digest_pictures(pictures: Pictures) -> set[str]:
    """Return a digest of the RGB pixels of each picture, which copies in any format share."""
    return {digest_arrays(pictures.pixels(place, grey=False)) for place in range(len(pictures))}


def read_additions(
    folder: Path, classes: Sequence[str], kept_out: Collection[str]
) -> tuple[PictureFiles, PictureFiles]:
    """Return the pictures of `folder`/train and `folder`/recent, each with a folder for a class.

    Pictures whose pixels have a digest in `kept_out`, copies from the dataset's other splits, are left out.
    So are pictures in train that recent has too. A missing folder has none. Raises ModelyardError if a file
    is not a whole PNG or JPEG, or not in the folder of a class.
    """
    recent, seen = _read_split(folder, RECENT, classes, kept_out)
    training, _ = _read_split(folder, TRAIN, classes, {*kept_out, *seen})
    return training, recent


def _read_split(
    folder: Path, split: str, classes: Sequence[str], kept_out: Collection[str]
) -> tuple[PictureFiles, set[str]]:
    labels = {name_folder(name): label for label, name in enumerate(classes)}
    files = sorted(path for path in (folder / split).glob("*/*") if not path.name.startswith("."))
    paths = [path.relative_to(folder).as_posix() for path in files]
    if homeless := [path for path in paths if path.split("/")[1] not in labels]:
        raise ModelyardError(
            f"data.additions: expected {split}/CLASS/FILE, with a class of the dataset, got {homeless[0]} "
            f"({len(homeless):,} such files): move them"
        )
    looks = work_through(lambda path: look_at(folder / path), paths, "reading additions")
    kept: dict[str, tuple[str, Look]] = {}
    for path, look in zip(paths, looks, strict=True):
        if isinstance(look, str):
            raise ModelyardError(f"data.additions: {path}: expected a {NAMES}, got {look}: remove it")
        if look.pixels not in kept_out:
            kept.setdefault(look.pixels, (path, look))
    # An order independent of the classes.
    chosen = [kept[pixels] for pixels in sorted(kept)]
    return PictureFiles(
        np.array([labels[path.split("/")[1]] for path, _ in chosen], label_type(len(classes))),
        tuple(classes),
        folder,
        tuple(path for path, _ in chosen),
        tuple(look.sha256 for _, look in chosen),
    ), set(kept)
