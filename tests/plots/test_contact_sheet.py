"""The contact sheet: every image is on it, whatever the number."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label

from modelyard.plots.contact_sheet import AnsweredPicture, count_right, plot_contact_sheet, show_share
from picture_texts import watch_texts

GREEN = (0, 200, 0)
# Of right and of wrong answers: Okabe and Ito's.
BLUE, RED = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def answered(name: str) -> AnsweredPicture:
    pixels = np.full((20, 30, 3), GREEN, np.uint8)
    return AnsweredPicture(name, pixels, [{"label": "giant panda, a very long description", "score": 0.9}])


def count_images(path: Path) -> int:
    """Count the green areas of the picture."""
    green = (np.asarray(Image.open(path).convert("RGB")) == GREEN).all(axis=2)
    return int(label(green)[1])


@pytest.mark.parametrize("count", [1, 5, 7])
def test_every_image_is_drawn(tmp_path: Path, count: int) -> None:
    plot_contact_sheet(tmp_path / "sheet.png", [("models:/a/1", [answered(str(n)) for n in range(count)])])
    assert count_images(tmp_path / "sheet.png") == count


def test_each_model_has_a_section(tmp_path: Path) -> None:
    sections = [("models:/a/1", [answered("1"), answered("2")]), ("models:/b/2", [answered("3")])]
    plot_contact_sheet(tmp_path / "one.png", sections[:1])
    plot_contact_sheet(tmp_path / "two.png", sections)
    assert count_images(tmp_path / "two.png") == 3
    one, two = (Image.open(tmp_path / name).height for name in ("one.png", "two.png"))
    assert two > 1.8 * one


def test_a_picture_of_any_size_is_drawn_and_a_long_name_leaves_it_its_room(tmp_path: Path) -> None:
    large = AnsweredPicture(
        "x" * 90, np.full((900, 1200, 3), GREEN, np.uint8), [{"label": "y" * 90, "score": 1.0}]
    )
    grey = AnsweredPicture("grey", np.zeros((9, 14), np.uint8), [{"label": "a", "score": 0.5}])
    plot_contact_sheet(tmp_path / "sheet.png", [("models:/a/1", [large, grey])])
    green = (np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")) == GREEN).all(axis=2)
    assert green.any(axis=0).sum() > 150


@pytest.mark.parametrize(
    ("score", "shown"),
    [
        *[(1.0, "> 99.99 %"), (0.99991, "> 99.99 %"), (0.9999, "99.99 %")],
        *[(0.98694, "98.69 %"), (0.0012, "0.12 %")],
    ],
)
def test_no_score_is_called_certain(score: float, shown: str) -> None:
    assert show_share(score) == shown


def test_right_and_wrong_answers_have_colours_of_their_own(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8), np.uint8)
    answers = [{"label": "cat", "score": 0.7}, {"label": "dog", "score": 0.3}]
    shades = {}
    for truth in ("cat", "dog", None):
        sheet = tmp_path / f"{truth}.png"
        plot_contact_sheet(sheet, [("models", [AnsweredPicture("1.png", pixels, answers, truth)])])
        seen = np.asarray(Image.open(sheet).convert("RGB")).reshape(-1, 3)
        shades[truth] = {
            name for name, shade in (("blue", BLUE), ("red", RED)) if (seen == shade).all(1).any()
        }
    assert shades == {"cat": {"blue"}, "dog": {"red"}, None: set()}


def test_runners_up_are_written_from_a_thousandth_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = watch_texts(monkeypatch)
    scores = {"cat": 0.9, "dog": 0.098, "cow": 0.00101, "hen": 0.00099}
    answers = [{"label": label, "score": score} for label, score in scores.items()]
    one = AnsweredPicture("1.png", np.zeros((8, 8), np.uint8), answers, "dog")
    plot_contact_sheet(tmp_path / "top.png", [("pets", [one])], runners_up=4)
    written = ["pets", "cat ✗", "90.00 %, not dog", "then dog, 9.80 %", "then cow, 0.10 %"]
    assert [text for text in texts if text] == written
    texts.clear()
    plot_contact_sheet(tmp_path / "one.png", [("pets", [one])])
    assert [text for text in texts if text] == written[:-1]


def test_a_few_photos_fill_the_width_and_many_stand_in_even_rows(tmp_path: Path) -> None:
    for count, rows in ((2, 1), (4, 1), (6, 2), (10, 2), (12, 3)):
        pictures = [
            AnsweredPicture("x", np.full((20, 30, 3), GREEN, np.uint8), [{"label": "a", "score": 1.0}])
        ]
        plot_contact_sheet(tmp_path / "sheet.png", [("photos", pictures * count)])
        seen = (np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")) == GREEN).all(axis=2)
        assert seen.any(axis=0).mean() > 0.85
        assert label(seen.any(axis=1))[1] == rows


def test_the_title_counts_what_is_right_where_that_is_known() -> None:
    pixels, answers = np.zeros((8, 8), np.uint8), [{"label": "cat", "score": 0.7}]
    pictures = [AnsweredPicture("1.png", pixels, answers, truth) for truth in ("cat", "dog", None)]
    assert (count_right(pictures), count_right(pictures[2:])) == (": 1 of 2 right", "")
