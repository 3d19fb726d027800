"""The label of each output of a network, from the files that conf/ names."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Label
from modelyard.params import Pretrained
from modelyard.params.groups.pretrained import FileLabels, ImagenetLabels

_MOST_BYTES = 10_000_000
_COMMENT = re.compile(r"#.*")
_ENTRY = re.compile(
    r"\s*entry\s*\{\s*target_class:\s*(?P<id>[0-9]{1,9})\s+"
    r'target_class_string:\s*"(?P<synset>n[0-9]{8})"\s*\}\s*'
)
_WORDS = re.compile(r"(?P<synset>n[0-9]{8})\t(?P<words>\S.*)")
_SYNSET = re.compile(r"(?P<synset>n[0-9]{8})\s+(?P<words>\S.*)")


def read_labels(pretrained: Pretrained, paths: Mapping[str, Path]) -> tuple[Label, ...]:
    """Return a label for each output, in order; an output without a name is never an answer.

    Raises ModelyardError if a file is malformed, or names more or fewer outputs than conf/ says.
    """
    how, output = pretrained.labels, pretrained.output
    if isinstance(how, ImagenetLabels):
        names = (how.label_map.file, how.synset_words.file)
        origin = " and ".join(names)
        label_map, words = (paths[name].read_bytes() for name in names)
        labels = join_labels(label_map, words, output.classes, names)
    else:
        if isinstance(how, FileLabels):
            origin, parse = how.file, _parse_lines if how.format == "lines" else _parse_json
            named = parse(decode_text(paths[origin].read_bytes(), origin), origin)
        else:
            origin, named = "pretrained.labels.names", dict(enumerate(map(Label, how.names)))
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


def join_labels(
    label_map: bytes, synset_words: bytes, classes: int, files: tuple[str, str]
) -> tuple[Label, ...]:
    """Return one label for each output, in order, without a name where the map has none.

    The files are joined by synset, since two synsets may have the same words ("crane" is a bird and a
    machine). The map has an entry of `target_class` (an output's id) and `target_class_string` (its synset)
    for each label; the other file has lines of a synset, a tab and its words. `files` are their names, for
    messages.

    Raises ModelyardError if a line is malformed, an id or synset appears twice, an id is no output, or a
    synset has no words.
    """
    words = _parse_words(decode_text(synset_words, files[1]), files[1])
    labels = [Label(None, None)] * classes
    for number, synset in _parse_map(decode_text(label_map, files[0]), files[0]).items():
        if number >= classes:
            raise ModelyardError(f"{files[0]}: expected ids 0..{classes - 1}, got {number} ({synset})")
        if synset not in words:
            raise ModelyardError(f"{files[0]}: id {number} is {synset}, for which {files[1]} has no words")
        labels[number] = Label(words[synset], synset)
    return tuple(labels)


def decode_text(content: bytes, file: str) -> str:
    """Decode UTF-8; raises a ModelyardError that names `file` if it is other text, or far too long."""
    if len(content) > _MOST_BYTES:
        raise ModelyardError(f"{file}: expected at most {_MOST_BYTES:,} bytes of text, got {len(content):,}")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ModelyardError(f"{file}: expected text in UTF-8, got other bytes ({error})") from None


def _parse_map(text: str, file: str) -> dict[int, str]:
    """Return the synset of each id."""
    text = _COMMENT.sub("", text).rstrip()
    synsets: dict[int, str] = {}
    at = 0
    while at < len(text):
        entry = _ENTRY.match(text, at)
        if entry is None:
            raise ModelyardError(
                f"{_line(file, text, at)}: expected an entry with target_class and target_class_string, got "
                f"{' '.join(text[at : at + 80].split())!r}"
            )
        number, synset = int(entry["id"]), entry["synset"]
        if number in synsets:
            raise ModelyardError(
                f"{_line(file, text, at)}: id {number} is there twice: {synsets[number]} and {synset}"
            )
        synsets[number] = synset
        at = entry.end()
    if twice := [synset for synset, count in Counter(synsets.values()).items() if count > 1]:
        raise ModelyardError(f"{file}: synset {twice[0]} has two ids")
    if not synsets:
        raise ModelyardError(f"{file}: expected entries, got none")
    return synsets


def _line(file: str, text: str, at: int) -> str:
    return f"{file}, line {text.count(chr(10), 0, at) + 1}"


def _parse_words(text: str, file: str) -> dict[str, str]:
    """Return the words of each synset."""
    words: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _WORDS.fullmatch(line.rstrip())
        if match is None:
            raise ModelyardError(
                f"{file}, line {number}: expected a synset, a tab and its words, got {line[:80]!r}"
            )
        if match["synset"] in words:
            raise ModelyardError(f"{file}, line {number}: synset {match['synset']} is there twice")
        words[match["synset"]] = match["words"]
    return words
