"""The two label files of 2015, and what is wrong with a bad one."""

import time

import pytest

from legacy_archive import CLASSES, CRANES, PANDA, PANDA_SYNSET, make_label_map, make_synset_words
from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Label
from modelyard.networks.importing.labels import join_labels

FILES = ("map.pbtxt", "words.txt")
ONE = "n00000001\tone\n"
ENTRY = 'entry {\n  target_class: %d\n  target_class_string: "n0000000%d"\n}\n'


def join(entries: str, words: str, classes: int = 4) -> tuple[Label, ...]:
    return join_labels(entries.encode(), words.encode(), classes, FILES)


def test_every_output_gets_the_words_of_its_synset() -> None:
    labels = join_labels(make_label_map(), make_synset_words(), CLASSES, FILES)
    assert len(labels) == CLASSES
    assert labels[PANDA] == Label("giant panda, panda", PANDA_SYNSET)
    assert [number for number, label in enumerate(labels) if label.name is None] == [0, *range(1001, CLASSES)]


def test_two_synsets_of_the_same_words_stay_two_labels() -> None:
    labels = join_labels(make_label_map(), make_synset_words(), CLASSES, FILES)
    one, other = (labels[number] for number in CRANES)
    assert one.name == other.name == "crane"
    assert one.synset != other.synset


@pytest.mark.parametrize(
    ("entries", "words", "message"),
    [
        (ENTRY % (1, 1) + "entry { target_class: two }\n", ONE, "map.pbtxt, line 5: expected an entry"),
        (ENTRY % (1, 1) + ENTRY % (1, 2), ONE, "line 5: id 1 is there twice: n00000001 and n00000002"),
        (ENTRY % (1, 1) + ENTRY % (2, 1), ONE, "synset n00000001 has two ids"),
        ((ENTRY % (1, 1)).replace("1", "1" * 5000, 1), ONE, "map.pbtxt, line 1: expected an entry"),
        ((ENTRY % (1, 1)).replace("1", "\u0661", 1), ONE, "map.pbtxt, line 1: expected an entry"),
        (ENTRY % (4, 1), ONE, r"expected ids 0\.\.3, got 4 \(n00000001\)"),
        (ENTRY % (1, 2), ONE, "id 1 is n00000002, for which words.txt has no words"),
        (ENTRY % (1, 1), "n00000001\t\n", "words.txt, line 1: expected a synset, a tab and its words"),
        (ENTRY % (1, 1), "n00000001 one\n", "words.txt, line 1: expected a synset, a tab and its words"),
        (ENTRY % (1, 1), ONE + "n00000001\tuno\n", "words.txt, line 2: synset n00000001 is there twice"),
        ("# nothing\n", ONE, "map.pbtxt: expected entries, got none"),
    ],
)
def test_a_faulty_file_is_refused_with_the_place(entries: str, words: str, message: str) -> None:
    with pytest.raises(ModelyardError, match=message):
        join(entries, words)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ModelyardError, match=r"words\.txt: expected text in UTF-8"):
        join_labels((ENTRY % (1, 1)).encode(), b"\xff\xfe", 4, FILES)


def test_a_file_larger_than_any_list_of_labels_is_refused() -> None:
    with pytest.raises(
        ModelyardError, match=r"words\.txt: expected at most 10,000,000 bytes of text, got 10,00"
    ):
        join_labels((ENTRY % (1, 1)).encode(), bytes(10_000_001), 4, FILES)


def test_many_entries_take_no_minutes() -> None:
    entry = 'entry { target_class: %d target_class_string: "n%08d" }\n'
    entries = "".join(entry % (number, min(number, 79_998)) for number in range(80_000))
    start = time.monotonic()
    with pytest.raises(ModelyardError, match="synset n00079998 has two ids"):
        join(entries, ONE)
    assert time.monotonic() - start < 20
