"""Text of unknown origin, shown as text."""

import pytest

from modelyard.inference.plain_text import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größer \U0001f600 中", "größer \U0001f600 中"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x7f\x9b\x00", r"\x7f\x9b\x00"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("\udcff\ud800", r"\udcff\ud800"),
    ],
)
def test_what_would_do_something_is_shown_instead(text: str, shown: str) -> None:
    assert escape(text) == shown
    assert escape(text).encode()


def test_a_text_of_several_lines_keeps_its_lines() -> None:
    assert escape("a\nb\r", "\n") == "a\nb\\r"
