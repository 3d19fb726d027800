"""A trained network learns to say how unlike its training pictures a picture is.

A picture's features, the input of the last layer, are compared with prototypes: the centres of clusters of
training pictures (nearest neighbours among features: https://arxiv.org/abs/2204.06507). The distance to the
nearest one is ranked among those of the validation pictures, so that the number means the same for every
network. All this becomes part of the network, and is converted with it.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelyard.images.examples import Examples
from modelyard.images.samples import one_of_each_in_turn

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
# More of either made no difference that could be measured on MNIST.
_MOST_PICTURES, _PROTOTYPES = 10_000, 300
# Ranks are told in thousandths. With fewer pictures than these, they say too little.
_RANKS, FEWEST_PICTURES = 1_000, 20
# Of distances, 0..2, which LiteRT rounds in other places than Keras: no difference that small changes a rank.
_ROUNDING = 1e-5
_BATCH = 500
# Added to a squared length, so that features that are all 0 have a distance, the largest.
_SMALLEST = 1e-12


def add_unlikeness(network: "keras.Model", training: Examples, validation: Examples) -> "keras.Model":
    """Return a network with a second output, float32 (n, 1), 0..1, beside the same probabilities.

    It is the share of the validation pictures that are nearer to a prototype, by the cosine. An ensemble is
    returned as it is, for its members share no features; so is a network with fewer than `FEWEST_PICTURES`
    to learn from or to rank among.
    """
    import keras

    if not isinstance(network, keras.Sequential) or min(len(training), len(validation)) < FEWEST_PICTURES:
        return network
    # A network on features may have nothing but its last layer.
    last = network.layers[-2].output if len(network.layers) > 1 else network.inputs[0]
    features = keras.Model(network.inputs[0], last)
    chosen = one_of_each_in_turn(training.labels, _MOST_PICTURES)
    prototypes = find_prototypes(*ask_network(features, training.inputs[chosen]))
    [held_out] = ask_network(features, validation.inputs)
    distances = 1 - (_normalize(held_out) @ prototypes.T).max(axis=1)
    ranks = np.quantile(distances, (np.arange(_RANKS) + 0.5) / _RANKS).astype(np.float32) + _ROUNDING
    squares = keras.ops.sum(last * last, axis=-1, keepdims=True)
    unit = last * keras.ops.rsqrt(squares + _SMALLEST)
    nearest = keras.ops.max(unit @ prototypes.T, axis=-1, keepdims=True)
    nearer = keras.ops.cast(1 - nearest > ranks, "float32")
    unlikeness = keras.ops.mean(nearer, axis=-1, keepdims=True)
    return keras.Model(network.inputs[0], [network.outputs[0], unlikeness], name=network.name)


def find_prototypes(features: Floats) -> Floats:
    """Return the centres of at most 300 clusters, each of length 1, of features (n, width)."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rows = _normalize(features)
    clusters = KMeans(min(_PROTOTYPES, len(np.unique(rows, axis=0))), n_init=1, max_iter=20, random_state=0)
    # Several threads add up in any order, and a bundle that is made again should be the same.
    with threadpool_limits(1):
        return _normalize(clusters.fit(rows).cluster_centers_.astype(np.float32))


def ask_network(network: "keras.Model", inputs: NDArray[Any]) -> list[Floats]:
    """Return each of the network's outputs for inputs (n, ...): float32 (n, width)."""
    starts = range(0, len(inputs), _BATCH)
    batches = (inputs[start : start + _BATCH].astype(np.float32) for start in starts)
    given = [network(batch, training=False) for batch in batches]
    rows = [one if isinstance(one, list | tuple) else [one] for one in given]
    return [np.concatenate([each.numpy() for each in output]) for output in zip(*rows, strict=True)]


def _normalize(rows: Floats) -> Floats:
    squares = np.square(rows).sum(axis=1, keepdims=True)
    return np.asarray(rows / np.sqrt(squares + _SMALLEST), np.float32)
