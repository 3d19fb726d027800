"""The label of each output of a network, from the files that conf/ names."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Label
from modelyard.networks.importing.imagenet_labels import decode_text, join_labels
from modelyard.params import Pretrained
from modelyard.params.groups.pretrained import FileLabels, ImagenetLabels

_SYNSET = re.compile(r"(?P<synset>n[0-9]{8})\s+(?P<words>\S.*)")


def read_labels(pretrained: Pretrained, paths: Mapping[str, Path]) -> tuple[Label, ...]:
    """Return a label for each output, in order; an output without a name is never an answer.

    Raises ModelyardError if a file is malformed, or names more or fewer outputs than conf/ says.
    """
    how, output = pretrained.labels, pretrained.output
    origin = " and ".join(file.file for file in how.files) or "pretrained.labels.names"
    if isinstance(how, ImagenetLabels):
        contents = [paths[file.file].read_bytes() for file in how.files]
        names = (how.label_map.file, how.synset_words.file)
        labels = join_labels(contents[0], contents[1], output.classes, names)
    elif isinstance(how, FileLabels):
        parse = _parse_lines if how.format == "lines" else _parse_json
        text = decode_text(paths[how.file].read_bytes(), how.file)
        labels = _place(parse(text, how.file), how.offset, output.classes, origin)
    else:
        named = dict(enumerate(Label(name) for name in how.names))
        labels = _place(named, how.offset, output.classes, origin)
    count = sum(label.name is not None for label in labels)
    if count != output.named:
        raise ModelyardError(
            f"{origin}: expected names for {output.named} of {output.classes} outputs "
            f"(pretrained.output.named), got {count}"
        )
    return labels


def _place(named: Mapping[int, Label], offset: int, classes: int, origin: str) -> tuple[Label, ...]:
    """Assign labels to outputs, the first one to `offset`."""
    most = max(named, default=-1) + offset
    if most >= classes:
        raise ModelyardError(
            f"{origin}: expected labels for {classes} outputs (pretrained.output.classes), got one for "
            f"output {most}, counted from 0 with offset {offset}"
        )
    return tuple(named.get(place - offset, Label(None)) for place in range(classes))


def _parse_lines(text: str, file: str) -> dict[int, Label]:
    """Read a name from each line, or a synset and a name such as "n01440764 tench"."""
    lines = [line.strip() for line in text.removeprefix("\ufeff").rstrip().splitlines()]
    if "" in lines:
        raise ModelyardError(f"{file}, line {lines.index('') + 1}: expected a label, got an empty line")
    matches = [_SYNSET.fullmatch(line) for line in lines]
    return {
        place: Label(match["words"], match["synset"]) if match else Label(line)
        for place, (line, match) in enumerate(zip(lines, matches, strict=True))
    }


def _parse_json(text: str, file: str) -> dict[int, Label]:
    """Read a list of labels, or an index from numbers to labels; a label is a name, or [synset, name]."""
    try:
        value: Any = json.loads(text)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return {place: _parse_label(label) for place, label in enumerate(value)}
        return {_parse_number(number): _parse_label(label) for number, label in value.items()}
    except RecursionError:
        raise ModelyardError(f"{file}: expected a JSON list of labels, got one of lists in lists") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelyardError(
            f'{file}: expected a JSON list of labels, or an index such as {{"0": "tench"}}: {error}'
        ) from None


def _parse_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ValueError(f"expected the number of an output, got {text[:80]!r}")
    return int(text)


def _parse_label(value: Any) -> Label:
    match value:
        case str() if value:
            return Label(value)
        case [str(synset), str(name)] if name:
            return Label(name, synset)
    raise ValueError(f"expected a name, or [synset, name], got {str(value)[:80]!r}")
