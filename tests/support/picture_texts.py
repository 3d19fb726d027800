"""What is written on a picture that matplotlib draws."""

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text


def watch_texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets every text of a figure when it is saved."""
    texts: list[str] = []
    save = Figure.savefig

    def watch(figure: Figure, *given: object, **named: object) -> None:
        texts.extend(text.get_text() for text in figure.findobj(Text))
        save(figure, *given, **named)

    monkeypatch.setattr(Figure, "savefig", watch)
    return texts
