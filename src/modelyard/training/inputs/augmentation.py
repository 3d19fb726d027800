"""Augmentation: every picture is randomly moved, bent and restroked each time it is used.

Shift, rotation, scale, shear and elastic distortion form one map from each pixel of the new picture to a
place in the old one, so each picture is sampled only once; filters then change a share of the pictures. The
TensorFlow operations work on a whole batch, in parallel with the training steps.
"""

import math

import tensorflow as tf

from modelyard.params import Augmentation
from modelyard.training.inputs.filters import FILTERS, filter_some

# Elastic distortion: displacements are drawn on a grid with this many points a side, and interpolated.
GRID = 5


def augment(pictures: tf.Tensor, how: Augmentation, seed: tf.Tensor) -> tf.Tensor:
    """Augment a batch (n, h, w, c) of 0..255; keeps shape and dtype.

    Each picture draws its own amounts uniformly, up to those of `how`; `seed`, int64 (2,), decides them all.
    Everything outside a picture is 0, black.
    """
    seeds = tf.unstack(tf.random.split(seed, 2))
    rows, columns = displace(tf.shape(pictures), how, seeds[0])
    changed = sample(tf.cast(pictures, tf.float32), rows, columns)
    changed = filter_some(changed, {name: getattr(how, name) for name in FILTERS}, seeds[1])
    return tf.cast(tf.round(changed), tf.uint8) if pictures.dtype == tf.uint8 else changed


def displace(shape: tf.Tensor, how: Augmentation, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return, for each pixel of the new pictures, its row and column in the old: float32 (n, h, w) each."""
    count, height, width = shape[0], shape[1], shape[2]
    seeds = tf.unstack(tf.random.split(seed, 2))
    amounts = tf.random.stateless_uniform((count, 6, 1, 1), seeds[0], -1.0, 1.0)
    turn, larger, wider, slant, down, right = tf.unstack(amounts, axis=1)
    angle = turn * math.radians(how.rotate_degrees)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    middle = tf.cast(tf.stack([height - 1, width - 1]), tf.float32) / 2
    row = (tf.range(height, dtype=tf.float32) - middle[0])[None, :, None]
    column = (tf.range(width, dtype=tf.float32) - middle[1])[None, None, :] + slant * how.shear * row
    scale_y, scale_x = 1 + larger * how.scale, 1 + wider * how.scale
    rows = (cosine * row - sine * column) * scale_y + middle[0] + down * how.shift_pixels
    columns = (sine * row + cosine * column) * scale_x + middle[1] + right * how.shift_pixels
    if how.elastic_pixels:
        drawn = tf.random.stateless_uniform((count, GRID, GRID, 2), seeds[1], -1.0, 1.0)
        bend = tf.image.resize(drawn * how.elastic_pixels, (height, width), "bicubic")
        rows, columns = rows + bend[..., 0], columns + bend[..., 1]
    return rows, columns


def sample(pictures: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Sample pictures, float32 (n, h, w, c), at these places: bilinear, 0 outside, same shape."""
    # Places outside are clipped into this black border.
    padded = tf.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shape = tf.shape(padded)
    rows = tf.clip_by_value(rows + 1, 0.0, tf.cast(shape[1], tf.float32) - 1.001)
    columns = tf.clip_by_value(columns + 1, 0.0, tf.cast(shape[2], tf.float32) - 1.001)
    top, left = tf.floor(rows), tf.floor(columns)
    below, beside = (rows - top)[..., None], (columns - left)[..., None]
    corner = tf.cast(top, tf.int32) * shape[2] + tf.cast(left, tf.int32)
    first = tf.range(shape[0])[:, None, None] * (shape[1] * shape[2]) + corner
    flat = tf.reshape(padded, [-1, shape[3]])

    def read(step: tf.Tensor | int) -> tf.Tensor:
        return tf.gather(flat, first + step)

    upper = read(0) * (1 - beside) + read(1) * beside
    lower = read(shape[2]) * (1 - beside) + read(shape[2] + 1) * beside
    return upper * (1 - below) + lower * below
