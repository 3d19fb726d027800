"""What is written on a picture that matplotlib draws."""

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text


def watch_texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets every text of a figure when it is saved; nothing may be cut at the edges."""
    texts: list[str] = []
    save = Figure.savefig

    def watch(figure: Figure, *given: object, **named: object) -> None:
        save(figure, *given, **named)
        texts.extend(text.get_text() for text in figure.findobj(Text))
        drawn, (width_in, height_in) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(drawn.x0, drawn.y0) >= -0.01
        assert drawn.x1 <= width_in + 0.01
        assert drawn.y1 <= height_in + 0.01

    monkeypatch.setattr(Figure, "savefig", watch)
    return texts
