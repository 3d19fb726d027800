"""Synthetic corruptions: what happens to pictures outside the lab, each in three strengths.

The kinds are chosen from MNIST-C (Mu and Gilmer, 2019) and ImageNet-C (Hendrycks and Dietterich, 2019), for
pictures of any size, grey or in colour. What a name and a strength make of a picture must not change,
because versions that were measured years apart are compared.
"""

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels: TypeAlias = NDArray[np.uint8]
# Takes pixels, a random generator, and the strength in the kind's own unit.
Corruption: TypeAlias = Callable[[Pixels, Generator, float], Pixels]
STRENGTHS = 3
# Single pixels of a large photo do not count: a network sees none of them.
SHORTEST_SIDE = 320


@dataclass(frozen=True)
class Kind:
    """A corruption in words, and its strengths, the weakest first, each in the unit that `apply` takes."""

    title: str
    strengths: tuple[float, float, float]
    apply: Corruption


def reduce_photo(pixels: Pixels) -> Pixels:
    """Shrink a picture by a whole factor until its shorter side is 320 to 639 pixels; smaller ones stay."""
    factor = min(pixels.shape[:2]) // SHORTEST_SIDE
    return pixels if factor < 2 else np.asarray(Image.fromarray(pixels).reduce(factor))


def corrupt(pixels: Pixels, kind: str, strength: int, seed: tuple[int, ...]) -> Pixels:
    """Return a corrupted copy, of the same shape.

    `pixels` are grey, uint8 (h, w), or RGB (h, w, 3); `kind` is one of KINDS, and `strength` 1 to 3. `seed`
    has whole numbers from 0 on; the same ones give the same picture on every machine.
    """
    chosen, chance = KINDS[kind], np.random.default_rng([*seed, zlib.crc32(kind.encode())])
    return chosen.apply(pixels, chance, chosen.strengths[strength - 1])


def _to_levels(values: NDArray[Any]) -> Pixels:
    levels: Pixels = np.rint(values).clip(0, 255).astype(np.uint8)
    return levels


def _find_ground(pixels: Pixels) -> tuple[int, ...]:
    """Return the median level of the border, for each channel: mostly the background."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    middle = np.sort(border.reshape(len(border), -1), axis=0)[len(border) // 2]
    return tuple(map(int, middle))


def _find_contrast(pixels: Pixels) -> tuple[int, ...]:
    """Return white for pictures on a dark background, black for others."""
    ground = _find_ground(pixels)
    return (255 if sum(ground) < 128 * len(ground) else 0,) * len(ground)


def _fill(channels: tuple[int, ...]) -> Any:
    """Return a colour as Pillow takes it."""
    return channels if len(channels) > 1 else channels[0]


def _choose_sign(chance: Generator) -> int:
    return int(chance.integers(2)) * 2 - 1


def _add_noise(pixels: Pixels, chance: Generator, deviation: float) -> Pixels:
    return _to_levels(pixels + deviation * chance.standard_normal(pixels.shape, np.float32))


def _add_impulses(pixels: Pixels, chance: Generator, share: float) -> Pixels:
    drawn = chance.random(pixels.shape[:2], np.float32)
    changed = pixels.copy()
    changed[drawn < share / 2] = 0
    changed[drawn > 1 - share / 2] = 255
    return changed


def _blur(pixels: Pixels, _chance: Generator, share: float) -> Pixels:
    radius = 0.4 + share * min(pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def _move_while_taken(pixels: Pixels, chance: Generator, share: float) -> Pixels:
    """Average along rows or columns, as if the camera had moved."""
    axis = int(chance.integers(2))
    before = max(1, round(share * pixels.shape[axis] / 2))
    padding = [(0, 0)] * pixels.ndim
    padding[axis] = (before + 1, before)
    sums = np.pad(pixels, padding, "edge").cumsum(axis=axis, dtype=np.int64)
    length, size = 2 * before + 1, pixels.shape[axis]
    along = [sums.take(range(start, start + size), axis) for start in (0, length)]
    return _to_levels((along[1] - along[0]) / length)


def _pixelate(pixels: Pixels, _chance: Generator, share: float) -> Pixels:
    picture = Image.fromarray(pixels)
    width, height = (max(1, round(side * share)) for side in picture.size)
    small = picture.resize((width, height), Image.Resampling.BOX)
    return np.asarray(small.resize(picture.size, Image.Resampling.NEAREST))


def _compress(pixels: Pixels, _chance: Generator, quality: float) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=int(quality))
    return np.asarray(Image.open(stream))


def _brighten(pixels: Pixels, _chance: Generator, share: float) -> Pixels:
    return _to_levels(255 - (255 - pixels.astype(np.float32)) * np.float32(1 - share))


def _flatten(pixels: Pixels, _chance: Generator, share: float) -> Pixels:
    # In integers, so that every machine rounds alike.
    mean = np.float32(int(pixels.sum(dtype=np.int64)) // pixels.size)
    return _to_levels(mean + (pixels - mean) * np.float32(1 - share))


def _add_fog(pixels: Pixels, chance: Generator, share: float) -> Pixels:
    coarse = chance.integers(128, 256, (4, 4), np.uint8)
    height, width = pixels.shape[:2]
    fog = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    fog = fog if pixels.ndim == 2 else fog[:, :, None]
    return _to_levels(pixels * np.float32(1 - share) + fog * np.float32(share))


def _map_places(
    pixels: Pixels, matrix: tuple[float, float, float, float], shift: tuple[float, float]
) -> Pixels:
    """Take each pixel from where `matrix`, about the centre, and then `shift`, in pixels, lead."""
    height, width = pixels.shape[:2]
    across, down = width / 2, height / 2
    (a, b, d, e), (right, below) = matrix, shift
    data = (a, b, across - a * across - b * down + right, d, e, down - d * across - e * down + below)
    picture = Image.fromarray(pixels)
    moved = picture.transform(
        picture.size,
        Image.Transform.AFFINE,
        data,
        Image.Resampling.BILINEAR,
        fillcolor=_fill(_find_ground(pixels)),
    )
    return np.asarray(moved)


def _rotate(pixels: Pixels, chance: Generator, degrees: float) -> Pixels:
    turn = np.deg2rad(degrees * _choose_sign(chance))
    cosine, sine = float(np.cos(turn)), float(np.sin(turn))
    return _map_places(pixels, (cosine, sine, -sine, cosine), (0, 0))


def _shear(pixels: Pixels, chance: Generator, slope: float) -> Pixels:
    return _map_places(pixels, (1, slope * _choose_sign(chance), 0, 1), (0, 0))


def _scale(pixels: Pixels, _chance: Generator, size: float) -> Pixels:
    return _map_places(pixels, (1 / size, 0, 0, 1 / size), (0, 0))


def _translate(pixels: Pixels, chance: Generator, share: float) -> Pixels:
    height, width = pixels.shape[:2]
    right, below = (max(1, round(share * side)) * _choose_sign(chance) for side in (width, height))
    return _map_places(pixels, (1, 0, 0, 1), (right, below))


def _spatter(pixels: Pixels, chance: Generator, share: float) -> Pixels:
    """Drop eight round spots of white on a dark picture, of black on a light one."""
    picture = Image.fromarray(pixels)
    draw, side = ImageDraw.Draw(picture), min(picture.size)
    for x, y, size in chance.random((8, 3)):
        left, top, radius = x * picture.width, y * picture.height, (0.5 + size / 2) * share * side
        box = [left - radius, top - radius, left + radius, top + radius]
        draw.ellipse(box, fill=_fill(_find_contrast(pixels)))
    return np.asarray(picture)


def _cross_out(pixels: Pixels, chance: Generator, share: float) -> Pixels:
    """Draw a line from one side to the other, white on a dark picture, black on a light one."""
    picture = Image.fromarray(pixels)
    start, end = (int(part * (picture.height - 1)) for part in chance.random(2))
    width = max(1, round(share * min(picture.size)))
    line = [(-1, start), (picture.width, end)]
    ImageDraw.Draw(picture).line(line, fill=_fill(_find_contrast(pixels)), width=width)
    return np.asarray(picture)


# Add new kinds at the end: if a kind's place here changes, so does the strength in which pictures get it.
KINDS = {
    "noise": Kind("noise", (20, 45, 75), _add_noise),
    "impulse_noise": Kind("single black and white pixels", (0.03, 0.08, 0.16), _add_impulses),
    "blur": Kind("blur", (0.01, 0.03, 0.05), _blur),
    "motion_blur": Kind("blur by motion", (0.08, 0.16, 0.22), _move_while_taken),
    "pixelate": Kind("coarse pixels", (0.7, 0.5, 0.35), _pixelate),
    "jpeg": Kind("strong JPEG compression", (25, 12, 5), _compress),
    "brightness": Kind("too much light", (0.3, 0.5, 0.7), _brighten),
    "contrast": Kind("little contrast", (0.5, 0.7, 0.85), _flatten),
    "fog": Kind("fog", (0.3, 0.5, 0.7), _add_fog),
    "rotate": Kind("turned", (10, 20, 30), _rotate),
    "shear": Kind("slanted", (0.15, 0.3, 0.45), _shear),
    "scale": Kind("smaller", (0.85, 0.7, 0.55), _scale),
    "translate": Kind("moved", (0.06, 0.12, 0.18), _translate),
    "spatter": Kind("spots", (0.02, 0.035, 0.05), _spatter),
    "line": Kind("crossed by a line", (0.03, 0.06, 0.1), _cross_out),
}
