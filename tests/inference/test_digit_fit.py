"""A digit is found wherever and however it was drawn, printed or photographed."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from modelyard.inference.fits import fit_pixels

Pixels = NDArray[np.uint8]
Change = Callable[[NDArray[np.float64]], NDArray[np.float64]]
CHANCE = np.random.default_rng(7)


def draw_seven(side: int = 200, box: int = 120, pen: float = 0.1) -> NDArray[np.float64]:
    """Return a seven with a bar as ink 0..1, in the middle of a square."""
    picture = Image.new("L", (side * 2, side * 2))
    low, high, width = side - box, side + box, round(pen * 2 * box)
    strokes = [(low + box // 4, low), (high - box // 4, low), (side, high)]
    ImageDraw.Draw(picture).line(strokes, 255, width, "curve")
    ImageDraw.Draw(picture).line([(side - box // 3, side), (side + box // 2, side)], 255, width)
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX), np.float64) / 255


def on_paper(ink: NDArray[np.float64], paper: float = 245, strength: float = 0.9) -> NDArray[np.float64]:
    return paper * (1 - strength * ink)


def to_pixels(levels: NDArray[np.float64]) -> Pixels:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def difference(one: Pixels, other: Pixels) -> float:
    """Return how much of the ink of two fitted digits differs, as a share; a shift by a pixel is none."""
    ink = max(one.sum(dtype=float), other.sum(dtype=float))
    shifts = [np.roll(one, (down, across), (0, 1)) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    return min(float(np.abs(shifted.astype(float) - other).sum() / ink) for shifted in shifts)


def centre_of_mass(field: Pixels) -> NDArray[np.float64]:
    places = np.indices(field.shape).reshape(2, -1)
    return np.asarray(places @ field.ravel().astype(float) / field.sum(dtype=float))


def fit_digit(pixels: Pixels) -> Pixels:
    return np.asarray(fit_pixels("digit_3", pixels, 28, 28)[:, :, 0], np.uint8)


CLEAN = fit_digit(to_pixels(on_paper(draw_seven())))


def shade(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = levels.shape
    return levels * np.linspace(0.3, 1, height)[:, None] * np.linspace(0.8, 1, width)


def frame_at(depth: int, thickness: int) -> Change:
    def change(levels: NDArray[np.float64]) -> NDArray[np.float64]:
        inner, outer = depth + thickness, levels.shape[0] - depth
        framed = levels.copy()
        framed[depth:outer, depth:outer] = 20
        framed[inner:-inner, inner:-inner] = levels[inner:-inner, inner:-inner]
        return framed

    return change


def rule(levels: NDArray[np.float64], across: bool = True, down: bool = False) -> NDArray[np.float64]:
    ruled = levels.copy()
    if across:
        ruled[10::28] = np.minimum(ruled[10::28], 170)
    if down:
        ruled[:, 10::28] = np.minimum(ruled[:, 10::28], 170)
    return ruled


def soil(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    soiled = levels.copy()
    soiled[12:18, 170:176] = 20
    soiled[CHANCE.random(levels.shape) < 0.005] = 60
    return soiled


CHANGES: dict[str, Change] = {
    "light on dark": lambda levels: 255 - levels,
    "pale on grey": lambda levels: 120 + levels * 0.3,
    "shaded paper": shade,
    "noise": lambda levels: levels + CHANCE.normal(0, 12, levels.shape),
    "ruled": rule,
    "squared": lambda levels: rule(levels, down=True),
    "a frame at the edge": frame_at(0, 5),
    "a frame within": frame_at(14, 3),
    "dirt": soil,
    "in a corner": lambda levels: np.roll(levels, (-30, 30), (0, 1)),
    "a large photo": lambda levels: np.kron(levels, np.ones((8, 8))),
    "far smaller than its paper": lambda levels: np.pad(levels, 150, constant_values=245),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_digit_is_found_whatever_it_stands_on(change: Change) -> None:
    fitted = fit_digit(to_pixels(change(on_paper(draw_seven()))))
    assert difference(fitted, CLEAN) < 0.25
    assert fitted.max() == 255


def test_the_drawn_digit_itself_is_as_mnists_are() -> None:
    rows, columns = np.nonzero(CLEAN)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert np.abs(centre_of_mass(CLEAN) - 14).max() <= 0.51
    assert CLEAN[0, 0] == 0


def test_what_lies_as_mnists_own_do_passes_untouched() -> None:
    assert np.shares_memory(fit_digit(CLEAN), CLEAN)


@pytest.mark.parametrize("offset", [(-2, -2), (-4, 4), (1, -4)])
def test_a_digit_of_28_by_28_that_lies_elsewhere_is_put_where_mnists_lie(offset: tuple[int, int]) -> None:
    assert difference(fit_digit(np.roll(CLEAN, offset, (0, 1))), CLEAN) < 0.1


@pytest.mark.parametrize("frame", [0, 255])
def test_a_small_digit_in_a_frame_of_one_pixel_is_found(frame: int) -> None:
    levels = 255 - CLEAN if frame == 0 else CLEAN.copy()
    levels[[0, -1]] = levels[:, [0, -1]] = frame
    assert difference(fit_digit(levels), CLEAN) < 0.1


def test_a_thin_pen_is_as_dark_as_a_thick_one() -> None:
    thin = fit_digit(to_pixels(on_paper(draw_seven(280, 200, 0.02))))
    assert np.percentile(thin[thin > 0], 75) > 200


def test_parts_of_a_digit_that_do_not_touch_stay_and_other_things_go() -> None:
    ink = draw_seven()
    ink[85:90] = 0
    apart = fit_digit(to_pixels(on_paper(ink)))
    assert difference(apart, CLEAN) < 0.35
    ink = draw_seven()
    ink[185:195, 5:15] = 1
    assert difference(fit_digit(to_pixels(on_paper(ink))), CLEAN) < 0.1


@pytest.mark.parametrize("level", [0, 100, 255])
@pytest.mark.parametrize("shape", [(50, 50), (28, 28), (1, 1), (1, 90), (700, 2)])
def test_paper_without_a_digit_holds_no_ink(level: int, shape: tuple[int, int]) -> None:
    assert not fit_digit(np.full(shape, level, np.uint8)).any()


def test_blurred_and_turned_photos_of_paper_keep_their_digit() -> None:
    photo = Image.fromarray(to_pixels(on_paper(draw_seven(), 215, 0.75))).rotate(5, fillcolor=215)
    photo = photo.resize((1200, 1600)).filter(ImageFilter.GaussianBlur(2))
    fitted = fit_digit(to_pixels(shade(np.asarray(photo, float)) + CHANCE.normal(0, 5, (1600, 1200))))
    straight = Image.fromarray(CLEAN).rotate(5)
    # The photo stretches its paper by a third.
    assert fitted.max() == 255
    assert np.abs(centre_of_mass(fitted) - centre_of_mass(np.asarray(straight))).max() < 1.5


@pytest.mark.parametrize(("gap", "side"), [(6, 200), (40, 200), (20, 600)])
def test_of_two_digits_one_fit_keeps_one_and_its_successor_both(gap: int, side: int) -> None:
    ink = draw_seven(side // 2, side // 4)
    both = np.zeros((side, side))
    top, left = side // 4, side // 2 - ink.shape[1] + side // 8 - gap // 2
    both[top : top + side // 2, left : left + side // 2] = ink
    shifted = left + side // 4 + gap
    both[top : top + side // 2, shifted : shifted + side // 2] += ink
    picture = to_pixels(on_paper(np.minimum(both, 1)))
    one, two = fit_pixels("digit", picture, 28, 28)[:, :, 0], fit_pixels("digit_2", picture, 28, 28)[:, :, 0]
    (tall, wide), (tall_of_both, wide_of_both) = (
        [int(np.ptp(np.nonzero(made.max(axis=axis))[0])) + 1 for axis in (1, 0)] for made in (one, two)
    )
    assert tall == 20
    assert wide < 18
    assert wide_of_both == 20
    assert tall_of_both < 14


@pytest.mark.parametrize("is_light", [False, True])
def test_paper_that_is_mostly_in_the_dark_is_not_taken_for_the_ink(is_light: bool) -> None:
    down, across = np.indices((200, 200)) / 200
    light = 60 + 190 * np.clip(1 - 1.1 * np.hypot(down, across), 0, 1)
    seven = draw_seven()
    picture = to_pixels(np.maximum(light, 250 * seven) if is_light else light * (1 - 0.75 * seven))
    assert difference(fit_digit(picture), CLEAN) < 0.35
    if not is_light:
        former = np.asarray(fit_pixels("digit_2", picture, 28, 28)[:, :, 0], np.uint8)
        assert difference(former, CLEAN) > 0.6


def test_dirt_beside_a_digit_is_no_second_one() -> None:
    dirty = on_paper(draw_seven())
    dirty[15:25, 20:32] = 30
    np.testing.assert_array_equal(
        fit_pixels("digit", to_pixels(dirty), 28, 28), fit_pixels("digit_2", to_pixels(dirty), 28, 28)
    )
