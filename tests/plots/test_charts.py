"""The pictures of an evaluation: whole PNGs, the same every time, with what happened in them."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from modelyard.evaluation.labelled_evaluation import Mistake, worst_mistakes
from modelyard.evaluation.measures.classification import Calibration, calibration, confusion_matrix
from modelyard.images.pictures import Pictures, PixelPictures
from modelyard.plots.charts import PALE_BLUE, picture, shorten, wrap
from modelyard.plots.confusion import plot_confusion
from modelyard.plots.gallery import plot_mistakes
from modelyard.plots.reliability import plot_reliability
from modelyard.plots.thumbnails import make_thumbnail
from picture_folders import hold_files
from picture_texts import watch_texts
from tflite_models import encode

NAMES = tuple("0123456789")
LONG = ("Norwegian Forest Cat", "West Highland White Terrier")
SUBJECT = "mnist (float32) on the 601 test images of mnist"


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 10, 601).astype(np.uint8)


@pytest.fixture
def probabilities(labels: np.ndarray) -> np.ndarray:
    """Of a model that is mostly right and sometimes sure of the wrong."""
    powers = np.exp(np.random.default_rng(2).normal(size=(601, 10)) + 3 * np.eye(10)[labels])
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def images(labels: np.ndarray) -> Pictures:
    levels = np.random.default_rng(3).integers(0, 256, (601, 28, 28)).astype(np.uint8)
    return PixelPictures(labels, NAMES, levels)


@pytest.fixture
def curve(probabilities: np.ndarray, labels: np.ndarray) -> Calibration:
    return calibration(probabilities, labels, bins=15)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All texts of the pictures that are drawn."""
    return watch_texts(monkeypatch)


@pytest.fixture
def mistakes(probabilities: np.ndarray, labels: np.ndarray) -> tuple[Mistake, ...]:
    return worst_mistakes(probabilities, labels, NAMES, 20)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert "Software" not in image.info
        return np.asarray(image.convert("RGB")).astype(int)


def orange(path: Path) -> int:
    """Count the pixels in the colours of mistakes: much red, little blue."""
    red, _, blue = pixels(path).transpose(2, 0, 1)
    return int(((red - blue) > 60).sum())


def test_the_same_drawing_gives_the_same_bytes_whatever_a_person_has_set(
    tmp_path: Path,
    probabilities: np.ndarray,
    labels: np.ndarray,
    images: Pictures,
    curve: Calibration,
    mistakes: tuple[Mistake, ...],
) -> None:
    def draw(folder: Path) -> list[bytes]:
        plot_confusion(folder / "a.png", confusion_matrix(probabilities, labels), NAMES, SUBJECT)
        plot_reliability(folder / "b.png", curve, SUBJECT)
        plot_mistakes(folder / "c.png", images, mistakes, 99, SUBJECT)
        return [(folder / name).read_bytes() for name in ("a.png", "b.png", "c.png")]

    first = draw(tmp_path / "1")
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "savefig.dpi": 50}):
        assert draw(tmp_path / "2") == first


def test_mistakes_are_coloured_and_a_perfect_matrix_has_none(tmp_path: Path) -> None:
    perfect = np.diag([5, 6, 0])
    wrong = perfect + np.array([[0, 0, 9], [0, 0, 0], [0, 1, 0]])
    plot_confusion(tmp_path / "perfect.png", perfect, ("a", "Drawing", "c"), "perfect")
    plot_confusion(tmp_path / "wrong.png", wrong, ("a", "Drawing", "c"), "wrong")
    assert orange(tmp_path / "perfect.png") == 0
    assert orange(tmp_path / "wrong.png") > 500


def test_a_cell_without_any_count_stays_blank(tmp_path: Path) -> None:
    plot_confusion(tmp_path / "two.png", np.diag([7, 7, 0]), tuple("abc"), "two of three")
    pale_blue = [int(PALE_BLUE[place : place + 2], 16) for place in (1, 3, 5)]
    cell = (pixels(tmp_path / "two.png") == pale_blue).all(axis=2)
    rows, columns = np.flatnonzero(cell.any(axis=1)), np.flatnonzero(cell.any(axis=0))
    height, width = rows[-1] - rows[0], columns[-1] - columns[0]
    assert cell.sum() == pytest.approx(height * width / 2, rel=0.1)


@pytest.mark.parametrize("classes", [100, 1000])
def test_a_matrix_of_many_classes_still_fits_on_a_page_and_shows_its_mistakes(
    tmp_path: Path, classes: int
) -> None:
    names = [f"class {place} of a great many" for place in range(classes)]
    confusion = np.eye(classes, dtype=int)
    confusion[: classes // 4, : classes // 4] += 3
    plot_confusion(tmp_path / "many.png", confusion, names, "a hundred")
    assert max(pixels(tmp_path / "many.png").shape) < 1700
    assert orange(tmp_path / "many.png") > 10_000


@pytest.mark.parametrize("bins", [2, 15, 200])
def test_a_reliability_diagram_takes_few_bins_and_many(
    tmp_path: Path, probabilities: np.ndarray, labels: np.ndarray, bins: int
) -> None:
    plot_reliability(tmp_path / "bins.png", calibration(probabilities, labels, bins), SUBJECT)
    assert pixels(tmp_path / "bins.png").shape[0] > 500


def test_a_model_that_is_always_sure_has_a_diagram_too(tmp_path: Path) -> None:
    sure = calibration(np.eye(4), np.arange(4), bins=10)
    plot_reliability(tmp_path / "sure.png", sure, "sure")
    assert pixels(tmp_path / "sure.png").min() < 60


def test_the_reliability_diagram_says_in_words_what_its_error_means(
    tmp_path: Path, curve: Calibration, drawn: list[str]
) -> None:
    plot_reliability(tmp_path / "curve.png", replace(curve, error=0.0312), SUBJECT)
    title = next(text for text in drawn if text.startswith(SUBJECT[:20]))
    assert "scores are off by 3.12 percentage points on average" in " ".join(title.split())


def test_the_worst_mistakes_come_first_and_ties_in_the_order_of_the_images() -> None:
    probabilities = np.array([[0.7, 0.3], [0.9, 0.1], [0.3, 0.7], [0.8, 0.2]])
    labels = np.array([1, 0, 0, 1])
    worst = worst_mistakes(probabilities, labels, ("cat", "dog"), 10)
    assert [mistake.index for mistake in worst] == [3, 0, 2]
    assert worst[0] == Mistake(3, "dog", "cat", 0.8)
    assert len(worst_mistakes(probabilities, labels, ("cat", "dog"), 2)) == 2


def test_a_gallery_grows_by_a_line_for_every_eight_mistakes(
    tmp_path: Path, images: Pictures, mistakes: tuple[Mistake, ...]
) -> None:
    heights = []
    for count in (1, 8, 9):
        plot_mistakes(tmp_path / "mistakes.png", images, mistakes[:count], count, SUBJECT)
        heights.append(pixels(tmp_path / "mistakes.png").shape[0])
    assert heights[0] == heights[1] < heights[2]


def test_the_picture_in_the_gallery_is_the_image_that_was_mistaken(tmp_path: Path) -> None:
    levels = np.zeros((3, 28, 28), np.uint8)
    levels[1] = 77
    images = PixelPictures(np.zeros(3, np.uint8), NAMES, levels)
    plot_mistakes(tmp_path / "one.png", images, [Mistake(1, "5", "3", 0.99)], 1, SUBJECT)
    assert ((pixels(tmp_path / "one.png") == 77).all(axis=2)).sum() > 80**2


def test_a_file_in_the_gallery_keeps_its_colours_and_its_proportions(tmp_path: Path) -> None:
    wide = np.full((200, 800, 3), (250, 120, 0), np.uint8)
    grey = np.full((31, 17), 90, np.uint8)
    images = hold_files(tmp_path, [encode(wide), encode(grey)], np.zeros(2, np.uint8), LONG)
    wrong = [Mistake(place, LONG[0], LONG[1], 0.9) for place in (0, 1)]
    plot_mistakes(tmp_path / "two.png", images, wrong, 2, SUBJECT)
    shown = (pixels(tmp_path / "two.png") == (250, 120, 0)).all(axis=2)
    height, width = shown.any(axis=1).sum(), shown.any(axis=0).sum()
    assert width / height == pytest.approx(4, rel=0.1)
    assert (pixels(tmp_path / "two.png") == 90).all(axis=2).sum() > 1000


def test_a_thumbnail_is_small_and_what_is_small_already_stays(tmp_path: Path) -> None:
    large, small = np.zeros((300, 900, 3), np.uint8), np.full((20, 30, 3), 9, np.uint8)
    images = hold_files(tmp_path, [encode(large), encode(small)], np.zeros(2, np.uint8), LONG)
    assert make_thumbnail(images, 0).shape == (43, 128, 3)
    assert np.array_equal(make_thumbnail(images, 1), small)


def test_names_that_are_too_long_for_their_place_are_cut_and_leave_the_others_room(tmp_path: Path) -> None:
    for name, names in (("long", ("x" * 190, "y")), ("short", ("x" * 28, "y"))):
        plot_confusion(tmp_path / f"{name}.png", np.array([[3, 1], [0, 4]]), names, SUBJECT)
    assert pixels(tmp_path / "long.png").shape == pixels(tmp_path / "short.png").shape
    assert orange(tmp_path / "long.png") == pytest.approx(orange(tmp_path / "short.png"), rel=0.05)
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("abcd", 4) == "abcd"


def test_a_title_is_broken_where_the_picture_ends(tmp_path: Path) -> None:
    plot_confusion(tmp_path / "a.png", np.diag([3, 4]), ("a", "b"), "word " * 60)
    page = pixels(tmp_path / "a.png")
    assert (page[:, -3:] == 255).all()
    assert max(map(len, wrap("my-dogs and-cats " * 9, 5).splitlines())) <= 46


def test_no_mistakes_at_all_make_a_page_that_says_so(tmp_path: Path, images: Pictures) -> None:
    plot_mistakes(tmp_path / "none.png", images, (), 0, SUBJECT)
    page = pixels(tmp_path / "none.png")
    assert page.shape[1] > 2 * page.shape[0]
    assert page.min() < 60


def test_a_drawing_that_fails_leaves_the_old_picture(tmp_path: Path) -> None:
    (tmp_path / "old.png").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), picture(tmp_path / "old.png", 2, 2):
        raise ZeroDivisionError
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_to_import_the_plots_loads_no_matplotlib_and_to_draw_needs_no_pyplot(tmp_path: Path) -> None:
    program = (
        "import sys, numpy\n"
        "from modelyard.plots import confusion, gallery\n"
        "assert 'matplotlib' not in sys.modules\n"
        "path = __import__('pathlib').Path(sys.argv[1])\n"
        "confusion.plot_confusion(path, numpy.diag([1, 2]), ('a', 'b'), 'x')\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "x.png")], check=True)
