"""ImageNet's labels of 2015, from two text files: output id to synset, and synset to words."""

import re
from collections import Counter

from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Label

_MOST_BYTES = 10_000_000
_COMMENT = re.compile(r"#.*")
_ENTRY = re.compile(
    r"\s*entry\s*\{\s*target_class:\s*(?P<id>[0-9]{1,9})\s+"
    r'target_class_string:\s*"(?P<synset>n[0-9]{8})"\s*\}\s*'
)
_WORDS = re.compile(r"(?P<synset>n[0-9]{8})\t(?P<words>\S.*)")


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
                f"{_place(file, text, at)}: expected an entry with target_class and target_class_string, got "
                f"{' '.join(text[at : at + 80].split())!r}"
            )
        number, synset = int(entry["id"]), entry["synset"]
        if number in synsets:
            raise ModelyardError(
                f"{_place(file, text, at)}: id {number} is there twice: {synsets[number]} and {synset}"
            )
        synsets[number] = synset
        at = entry.end()
    if twice := [synset for synset, count in Counter(synsets.values()).items() if count > 1]:
        raise ModelyardError(f"{file}: synset {twice[0]} has two ids")
    if not synsets:
        raise ModelyardError(f"{file}: expected entries, got none")
    return synsets


def _place(file: str, text: str, at: int) -> str:
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
