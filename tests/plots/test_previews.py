"""Previews for MLflow's charts: two stand side by side beside its panels, and their letters can be read."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelyard.evaluation.labelled_evaluation import Mistake
from modelyard.images.pictures import PixelPictures
from modelyard.plots.contact_sheet import AnsweredPicture
from modelyard.plots.previews import preview_answers, preview_confusion, preview_mistakes
from picture_texts import watch_texts

NAMES = tuple("0123456789")
# In pixels, of a window of 1440 beside MLflow's two panels, half.
WIDEST = 355


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All texts of the previews that are drawn; none may be cut."""
    return watch_texts(monkeypatch)


def measure(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_the_worst_twelve_mistakes_make_a_square(tmp_path: Path, drawn: list[str]) -> None:
    levels = np.random.default_rng(1).integers(0, 256, (20, 28, 28)).astype(np.uint8)
    pictures = PixelPictures(np.zeros(20, np.uint8), NAMES, levels)
    mistakes = [Mistake(place, "0", str(place % 9 + 1), 1 - place / 40) for place in range(20)]
    preview_mistakes(tmp_path / "mistakes.png", pictures, mistakes)
    width, height = measure(tmp_path / "mistakes.png")
    assert WIDEST - 10 < width < WIDEST
    assert abs(height - width) < 10
    assert len([text for text in drawn if "→" in text]) == 12
    preview_mistakes(tmp_path / "none.png", pictures, [])
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize(("classes", "counts"), [(10, 11), (13, 0), (300, 0)])
def test_a_small_matrix_has_counts_and_a_large_one_colours_alone(
    tmp_path: Path, drawn: list[str], classes: int, counts: int
) -> None:
    confusion = 1234 * np.eye(classes, dtype=int)
    confusion[0, 1] = 567
    preview_confusion(tmp_path / "many.png", confusion, [f"class {place}" for place in range(classes)])
    assert WIDEST - 10 < max(measure(tmp_path / "many.png")) < WIDEST
    assert len([text for text in drawn if text in ("1,234", "567")]) == counts
    assert 1 < len({text for text in drawn if text.startswith("class ")}) <= 12
    with Image.open(tmp_path / "many.png") as image:
        red, _, blue = np.asarray(image.convert("RGB")).astype(int).transpose(2, 0, 1)
    assert ((red - blue) > 40).any()


def test_four_answers_stand_two_in_a_row_each_with_its_runner_up(tmp_path: Path, drawn: list[str]) -> None:
    answers = [{"label": "Mona Lisa", "score": 0.9}, {"label": "Girl", "score": 0.09}]
    pictures = [AnsweredPicture("a.png", np.zeros((60, 80, 3), np.uint8), answers) for _ in range(6)]
    preview_answers(tmp_path / "answers.png", pictures)
    assert WIDEST - 10 < measure(tmp_path / "answers.png")[0] < WIDEST
    assert drawn.count("Mona Lisa") == drawn.count("then Girl, 9.00 %") == 4
