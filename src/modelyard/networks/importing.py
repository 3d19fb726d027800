"""Google's Inception v3 of 2015, or another archive of its format: obtained, verified, proved on a photo."""

import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.files import replace_folder
from modelyard.inference.bundle import Label, Preprocessing
from modelyard.networks.fallback import import_stand_in
from modelyard.networks.imagenet_labels import join_labels
from modelyard.networks.imported import GRAPH, PHOTOS, find_photo, write_facts, write_samples
from modelyard.networks.legacy_graph import LegacyGraph, Tensors
from modelyard.params import Member, Pretrained
from modelyard.repository import find_root
from modelyard.sources.archives import extract_members
from modelyard.sources.choice import NoSourceAnswers, WrongContent, first_that_answers, kept_path
from modelyard.sources.transfers import fetch

_HINT = "on a machine without internet, name a local copy: pretrained.archive=PATH"
# The official archive unpacks into 1.1 times its size.
_MOST_UNPACKED = 4


def import_pretrained(pretrained: Pretrained, out: Path) -> None:
    """Write the network's folder: from the archive, else from its stand-in, where conf/ allows one.

    Only where no source gives any file does the stand-in come in; a wrong file is an error.

    Raises:
        ModelyardError: the archive is not what conf/ says, fails its proof, or cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="modelyard-") as scratch:
        try:
            members, address = _obtain_members(pretrained, Path(scratch))
        except NoSourceAnswers as failure:
            if not (failure.unreachable and pretrained.allow_fallback):
                raise
            import_stand_in(pretrained, failure.failures, out, _HINT)
        else:
            _write_archive(pretrained, members, address, out)


def _obtain_members(pretrained: Pretrained, into: Path) -> tuple[dict[str, Path], str]:
    """Return the verified files by role, such as graph or label_map, and their address."""
    if pretrained.archive is not None:
        archive = Path(pretrained.archive).expanduser()
        if not archive.is_absolute():
            archive = find_root() / archive
        if not archive.is_file():
            raise ModelyardError(f"pretrained.archive: expected a .tgz, {archive} is not there")
        return _extract(pretrained, archive, into), archive.name
    sources = {url: lambda url=url: _fetch_members(pretrained, url, into) for url in pretrained.sources}
    return first_that_answers(pretrained.name, sources, _HINT)


def _fetch_members(pretrained: Pretrained, url: str, into: Path) -> dict[str, Path]:
    archive = fetch(
        url,
        kept_path(url),
        connect_timeout_s=pretrained.connect_timeout_s,
        read_timeout_s=pretrained.read_timeout_s,
        max_bytes=pretrained.max_archive_bytes,
    )
    try:
        return _extract(pretrained, archive, into)
    except WrongContent as error:
        # Its checksum as a whole is not known: kept, it would be taken for the right one next time.
        archive.unlink()
        raise WrongContent(url, error.reason) from None


def _extract(pretrained: Pretrained, archive: Path, into: Path) -> dict[str, Path]:
    """Extract the members that conf/ names; only the photo may be missing."""
    wanted = {role: member for role, member in pretrained.members if member is not None}
    try:
        return _extract_roles(pretrained, archive, into, wanted)
    except WrongContent:
        photo = wanted.pop("photo", None)
        if photo is None or not _lacks(archive, photo.file):
            raise
    return _extract_roles(pretrained, archive, into, wanted)


def _extract_roles(
    pretrained: Pretrained, archive: Path, into: Path, wanted: dict[str, Member]
) -> dict[str, Path]:
    files = {member.file: member.sha256 for member in wanted.values()}
    found = extract_members(archive, files, into, _MOST_UNPACKED * pretrained.max_archive_bytes)
    return {role: found[member.file] for role, member in wanted.items()}


def _lacks(archive: Path, name: str) -> bool:
    """Tell whether a sound archive has no member of this name; of a damaged one, say no."""
    try:
        with tarfile.open(archive) as tar:
            return all(PurePosixPath(member.name) != PurePosixPath(name) for member in tar)
    except (OSError, EOFError, zlib.error, tarfile.TarError):
        return False


def _write_archive(pretrained: Pretrained, members: dict[str, Path], address: str, out: Path) -> None:
    """Write the folder of the official network."""
    entrance = pretrained.input
    names = pretrained.members
    labels = join_labels(
        members["label_map"].read_bytes(),
        members["synset_words"].read_bytes(),
        pretrained.output.classes,
        (names.label_map.file, names.synset_words.file),
    )
    proof = _prove_graph(pretrained, labels, members)
    with replace_folder(out) as new:
        shutil.copyfile(members["graph"], new / GRAPH)
        write_samples(new, [members["photo"]] if "photo" in members else [])
        preprocessing = Preprocessing(
            "photo", entrance.height, entrance.width, 3, entrance.mean, entrance.scale, align_corners=False
        )
        about: dict[str, Any] = {
            "name": pretrained.name,
            "format": "graphdef",
            "source": address,
            "licence": pretrained.licence,
            "homepage": pretrained.homepage,
            "sha256": {member.file: member.sha256 for role, member in names if role in members},
            "tensors": asdict(_tensors(pretrained)),
            "preprocessing": asdict(preprocessing),
            "recognised": proof,
            "stand_in_for": None,
            "reasons": [],
        }
        write_facts(new, labels, about)


def _tensors(pretrained: Pretrained) -> Tensors:
    return Tensors(
        contents=pretrained.contents_tensor,
        cast=pretrained.cast_tensor,
        input=pretrained.input.tensor,
        output=pretrained.output.tensor,
    )


def _prove_graph(
    pretrained: Pretrained, labels: Sequence[Label], members: dict[str, Path]
) -> dict[str, Any] | None:
    """Run the untouched graph on a real photo; the archive's own must be taken for what it shows.

    Without one the graph must still run on a photo, and have the outputs that conf/ says.
    """
    from modelyard.networks.graphdef import parse_graph
    from modelyard.quiet import quiet_tensorflow

    photo = members.get("photo", find_photo(PHOTOS[0]))
    origin = pretrained.members.graph.file
    with quiet_tensorflow():
        graph = parse_graph(members["graph"].read_bytes(), origin)
        with LegacyGraph(graph, _tensors(pretrained), pretrained.output.classes, origin) as network:
            scores = network.probabilities_of_file(photo.read_bytes())
    if "photo" not in members:
        return None
    first = int(scores.argmax())
    score = float(scores[first])
    if labels[first].synset != pretrained.proof.synset or score < pretrained.proof.min_score:
        raise ModelyardError(
            f"{photo.name}: expected {pretrained.proof.synset} first with at least "
            f"{pretrained.proof.min_score}, got {labels[first].synset} ({labels[first].name}) with "
            f"{score:.4f}: graph, label maps and conf/pretrained do not belong together"
        )
    # Four decimals are the same on every machine, so that the import's output is.
    return {"photo": photo.name, "synset": labels[first].synset, "score": round(score, 4)}
