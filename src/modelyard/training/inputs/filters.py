"""Filters that make pictures look as if another pen, camera or scanner had made them.

They are for pictures of light strokes on black of a few dozen pixels a side. Each filter works on a share of
the batch only; which pictures these are is random, because the batches are shuffled.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

REACH = 3
# The pixels a side that become one.
COARSE = 3


def filter_some(pictures: tf.Tensor, shares: Mapping[str, float], seed: tf.Tensor) -> tf.Tensor:
    """Filter a part of the batch, float32 (n, h, w, c); keeps the shape.

    `shares` has the share of the batch for each of FILTERS; together they are at most 1, and a picture goes
    through one filter. A picture is mixed with its filtered one, by a random amount that `seed`, int64 (2,),
    decides.
    """
    if not any(shares.values()):
        return pictures
    count = tf.shape(pictures)[0]
    amounts = tf.random.stateless_uniform((count, 1, 1, 1), seed)
    parts, start, total = [], tf.constant(0), 0.0
    for name, share in shares.items():
        total += share
        end = tf.cast(tf.round(total * tf.cast(count, tf.float32)), tf.int32)
        some = pictures[start:end]
        parts.append(some + amounts[start:end] * (FILTERS[name](some) - some))
        start = end
    return tf.concat([*parts, pictures[start:]], axis=0)


def thicken(pictures: tf.Tensor) -> tf.Tensor:
    """Make strokes a pixel wider on either side."""
    return tf.nn.max_pool2d(pictures, REACH, 1, "SAME")


def thin(pictures: tf.Tensor) -> tf.Tensor:
    """Take a pixel off strokes on either side."""
    return -thicken(-pictures)


def blur(pictures: tf.Tensor) -> tf.Tensor:
    """Average over 3 x 3 pixels twice, which is nearly a Gaussian of 1.2 pixels."""
    once = tf.nn.avg_pool2d(pictures, REACH, 1, "SAME")
    return tf.nn.avg_pool2d(once, REACH, 1, "SAME")


def coarsen(pictures: tf.Tensor) -> tf.Tensor:
    """Keep a ninth of the pixels, and enlarge them smoothly."""
    height, width = tf.unstack(tf.shape(pictures)[1:3])
    small = tf.nn.avg_pool2d(pictures, COARSE, COARSE, "SAME")
    large = tf.shape(small)[1:3] * COARSE
    # A side that is no multiple was padded on both ends.
    top, left = (large[0] - height) // 2, (large[1] - width) // 2
    return tf.image.resize(small, large)[:, top : top + height, left : left + width]


FILTERS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "thicken": thicken,
    "thin": thin,
    "blur": blur,
    "coarsen": coarsen,
}
