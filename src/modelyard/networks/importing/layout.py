"""Where the files of a network lie: side by side, in a folder, or below the top folder of an archive."""

from pathlib import Path

from modelyard.params import Pretrained
from modelyard.repository import locate
from modelyard.sources.choice import WrongContent

SAVED_MODEL = "saved_model.pb"
PLACE = "a folder, an archive or a file"


def find_unpinned(pretrained: Pretrained) -> dict[str, Path]:
    """Return the files without a sha256 in conf/, by relative names: DVC notices a change by nothing else.

    An archive stands for its content, a SavedModel for all of its files. A missing file is left out, and
    reported by the import. Raises ModelyardError if a path of conf/ is missing, or lacks the network.
    """
    found: dict[str, Path] = {}
    for file in (one for one in pretrained.files if one.sha256 is None):
        key = "pretrained.path" if file.path is None else file.file
        place = locate(file.path or pretrained.path or "", key, PLACE)
        if file.path is None and not is_archive(pretrained, place):
            network, folder = place_network(pretrained, place)
            place = network if file == pretrained.network else folder / file.file
        inside = place.rglob("*") if place.is_dir() else [place]
        found |= {one.relative_to(place.parent).as_posix(): one for one in inside if one.is_file()}
    return found


def is_archive(pretrained: Pretrained, place: Path) -> bool:
    """Return whether a place is neither a folder nor the network's own file."""
    suffix = Path(pretrained.network.file).suffix
    return place.is_file() and not (suffix and place.suffix == suffix)


def place_network(pretrained: Pretrained, place: Path) -> tuple[Path, Path]:
    """Return the network and the folder of the other files; raises WrongContent if it is missing."""
    if place.is_file():
        # The network's own file; the other files are beside it.
        return place, place.parent
    folder = _below_top(place, pretrained.network.file)
    return _find_network(folder, pretrained.network.file), folder


def _below_top(folder: Path, name: str) -> Path:
    """Return the only folder in a folder, apart from hidden files, or the folder itself."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    alone = len(entries) == 1 and entries[0].is_dir() and entries[0].name != name
    return entries[0] if alone else folder


def _find_network(folder: Path, name: str) -> Path:
    for place in (folder / name, folder):
        if place.is_file() or (place / SAVED_MODEL).is_file():
            return place
    found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10]) or "nothing"
    raise WrongContent(str(folder), f"lacks {name}; found {found}")
