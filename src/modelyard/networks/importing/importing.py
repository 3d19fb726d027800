"""A network from elsewhere: obtained, verified, and proved on a picture before it is used."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.files import replace_folder
from modelyard.inference.bundle import Label
from modelyard.inference.decoding.images import ImageError, Limits, decode
from modelyard.networks.importing.fallback import import_stand_in
from modelyard.networks.importing.imported import (
    Imported,
    describe_fit,
    read_imported,
    write_facts,
    write_samples,
)
from modelyard.networks.importing.labels import read_labels
from modelyard.networks.importing.obtaining import HINT, Obtained, obtain_network
from modelyard.networks.network import Floats, Pixels
from modelyard.networks.opening import open_network
from modelyard.params import Pretrained
from modelyard.params.groups.pretrained import Proof
from modelyard.sources.choice import NoSourceAnswers

# The values of conf/ that opening a format may need.
_READ = frozenset({"input", "output", "features", "decoded", "architecture"})


def import_pretrained(pretrained: Pretrained, out: Path) -> None:
    """Write the network's folder: from its source, or from its stand-in if conf/ allows one.

    The stand-in is used only if no source gives any file; a wrong file is an error. Raises ModelyardError if
    a file is not what conf/ says, the network fails its proof, or no source gives it.
    """
    with tempfile.TemporaryDirectory(prefix="modelyard-") as scratch:
        try:
            obtained = obtain_network(pretrained, Path(scratch))
        except NoSourceAnswers as failure:
            fallback = pretrained.fallback if pretrained.allow_fallback else None
            if fallback is None or not failure.unreachable:
                raise
            import_stand_in(pretrained, fallback, failure.failures, out, HINT)
        else:
            _write_network(pretrained, obtained, out)


def _write_network(pretrained: Pretrained, obtained: Obtained, out: Path) -> None:
    labels = read_labels(pretrained, obtained.paths)
    proof = pretrained.proof
    if proof is not None:
        _check_proof(proof, labels)
    values = pretrained.model_dump(mode="json")
    name = pretrained.network.file
    about: dict[str, Any] = {
        "name": pretrained.name,
        "format": values["format"],
        "file": name,
        "source": obtained.address,
        "licence": pretrained.licence,
        "homepage": pretrained.homepage,
        "sha256": obtained.sha256,
        "network_sha256": obtained.sha256[name],
        "reading": {key: value for key, value in values.items() if key in _READ},
        "preprocessing": describe_fit(values["input"]),
        "recognised": None,
        "stand_in_for": None,
        "reasons": [],
    }
    with replace_folder(out) as new:
        copy = shutil.copytree if obtained.paths[name].is_dir() else shutil.copyfile
        copy(obtained.paths[name], new / name)
        write_samples(new, [] if proof is None else [obtained.paths[proof.file]])
        write_facts(new, labels, about)
        about["recognised"] = _prove(read_imported(new), proof)
        write_facts(new, labels, about)


def _check_proof(proof: Proof, labels: Sequence[Label]) -> None:
    if not any(_is_called(label, proof.label) for label in labels):
        raise ModelyardError(
            f"pretrained.proof.label: expected a label of the network, or its synset, got {proof.label!r}"
        )


def _prove(imported: Imported, proof: Proof | None) -> dict[str, Any] | None:
    """Run the unchanged network on all samples; it must recognise the proof's picture, if there is one."""
    with open_network(imported) as network:
        grey = imported.preprocessing.channels == 1
        scores = network.answer([_decode(path, grey) for path in imported.samples])
    if proof is None:
        return None
    place = [path.name for path in imported.samples].index(proof.file)
    return _recognise(proof, imported.labels, scores[place])


def _recognise(proof: Proof, labels: Sequence[Label], scores: Floats) -> dict[str, Any]:
    first = int(scores.argmax())
    label, score = labels[first], float(scores[first])
    if not _is_called(label, proof.label) or score < proof.min_score:
        raise ModelyardError(
            f"{proof.file}: expected {proof.label} first with at least {proof.min_score}, got "
            f"{label.synset or f'output {first}'} ({label.name}) with {score:.4f}: network, labels, "
            "pretrained.input and pretrained.proof in conf/ do not belong together"
        )
    # Rounded to four decimals, the import's output is the same on every machine.
    found = {"photo": proof.file, "label": label.name, "synset": label.synset}
    return found | {"score": round(score, 4)}


def _is_called(label: Label, words: str) -> bool:
    """Return whether a label has this synset, these words, or one of them, as "panda" of "bear, panda"."""
    names = [] if label.name is None else [label.name, *label.name.split(", ")]
    return words in (label.synset, *names)


def _decode(path: Path, grey: bool) -> Pixels:
    try:
        return decode(path.read_bytes(), Limits(), grey=grey)
    except ImageError as error:
        raise ModelyardError(f"{path.name}: {error.reason}") from None
