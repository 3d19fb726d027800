"""A complete small archive in the format of inception-2015-12-05.tgz, with seeded weights.

Its network knows three pictures: its own photo, which it takes for a giant panda with a score near 1, and the
two that scikit-learn brings.
"""

import copy
import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tensorflow.core.framework.graph_pb2 import GraphDef

from legacy_graph_builder import MEAN, SCALE, LegacyGraphBuilder
from modelyard.networks.importing.imported import PHOTOS, find_photo
from modelyard.params import Params, validate_params

SIZE, CLASSES, SEED = 35, 1008, 8
GRAPH = "classify_image_graph_def.pb"
LABEL_MAP = "imagenet_2012_challenge_label_map_proto.pbtxt"
SYNSET_WORDS = "imagenet_synset_to_human_label_map.txt"
PHOTO = "cropped_panda.jpg"
PANDA, PANDA_SYNSET = 169, "n02510455"
CRANES = (429, 545)
_KNOWN = (PANDA, 1, 1000)
_KEYS = {
    "network": GRAPH,
    "labels.label_map": LABEL_MAP,
    "labels.synset_words": SYNSET_WORDS,
    "proof": PHOTO,
}


def make_archive(
    path: Path,
    *,
    edit_graph: Callable[[GraphDef], None] | None = None,
    replace: Mapping[str, bytes | None] | None = None,
) -> dict[str, Any]:
    """Write the archive, and return the values of conf/ that fit it, as {"pretrained.path": ...}.

    Args:
        path: the .tgz.
        edit_graph: changes the graph in place, to make a faulty one.
        replace: other bytes for a member by its name, or None to leave it out; its sha256 follows.
    """
    photo = make_photo()
    graph = make_graph(photo)
    if edit_graph is not None:
        edit_graph(graph)
    members: dict[str, bytes | None] = {
        GRAPH: graph.SerializeToString(deterministic=True),
        LABEL_MAP: make_label_map(),
        SYNSET_WORDS: make_synset_words(),
        PHOTO: photo,
        "LICENSE": b"Apache License, Version 2.0\n",
        **(replace or {}),
    }
    present = {name: content for name, content in members.items() if content is not None}
    _write_tgz(path, present)
    return {
        "pretrained.path": str(path),
        "pretrained.input.height": SIZE,
        "pretrained.input.width": SIZE,
        "pretrained.input.mean": MEAN,
        "pretrained.input.scale": SCALE,
        "pretrained.proof.label": PANDA_SYNSET,
        "pretrained.proof.min_score": 0.85,
        "pretrained.allow_fallback": False,
    } | {
        f"pretrained.{key}.sha256": hashlib.sha256(present.get(file, b"")).hexdigest()
        for key, file in _KEYS.items()
    }


def fit_params(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> Params:
    """Return the parameters of a configuration, with the given values in the place of its own."""
    changed = copy.deepcopy(dict(values))
    for key, value in overrides.items():
        *groups, last = key.split(".")
        group = changed
        for name in groups:
            group = group[name]
        group[last] = value
    return validate_params(changed)


def make_photo() -> bytes:
    """Draw black and white rings, 100 x 100, as a JPEG."""
    y, x = np.mgrid[-50:50, -50:50]
    rings = (np.hypot(x, y) // 9 % 2 * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(rings).convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


def make_graph(photo: bytes) -> GraphDef:
    """Build the graph; its last layer is solved so that it knows its three pictures."""
    builder = LegacyGraphBuilder(SIZE, SEED)
    stem = builder.convolution("conv", "Mul", (3, 3, 16), stride=2, padding="VALID")
    stem = builder.convolution("conv_1", stem, (3, 3, 16), scaled=False, epsilon=0.01)
    stem = builder.pool("pool", "MaxPool", stem, 3, 2, "VALID")
    one = builder.convolution("mixed/conv", stem, (1, 1, 16))
    two = builder.convolution("mixed/tower/conv", stem, (3, 3, 32))
    mean = builder.pool("mixed/tower_1/pool", "AvgPool", stem, 3, 1, "SAME")
    three = builder.convolution("mixed/tower_1/conv", mean, (1, 1, 16), scaled=False)
    features = builder.features(builder.join("mixed/join", [one, two, three]), 8)
    pictures = [photo, *(find_photo(name).read_bytes() for name in PHOTOS)]
    weights, biases = _solve_classes([_ask(builder.graph, f"{features}:0", picture) for picture in pictures])
    builder.classes(features, weights, biases)
    return builder.graph


def make_label_map() -> bytes:
    """Name outputs 1 to 1000, in no order."""
    entries = [
        f'entry {{\n  target_class: {number}\n  target_class_string: "{synset_of(number)}"\n}}\n'
        for number in sorted(range(1, 1001), key=lambda number: number * 271 % 1009)
    ]
    return ("# -*- protobuffer -*-\n" + "".join(entries)).encode()


def make_synset_words() -> bytes:
    words = {number: f"thing {number}, object {number}" for number in range(1, 1001)}
    words |= {PANDA: "giant panda, panda", **dict.fromkeys(CRANES, "crane")}
    lines = [f"{synset_of(number)}\t{text}\n" for number, text in words.items()]
    return "".join([*sorted(lines), "n99999999\tnot among the outputs\n"]).encode()


def synset_of(number: int) -> str:
    """Return the synset of an output."""
    return PANDA_SYNSET if number == PANDA else f"n{10_000_000 + number * 7}"


def _solve_classes(features: list[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Find weights that give each known picture its class with a logit of 12, and all other classes noise."""
    known = np.concatenate(features).astype(np.float64)
    centre = known.mean(axis=0)
    weights = np.random.default_rng(SEED).normal(0, 0.01, (known.shape[1], CLASSES))
    biases = np.zeros(CLASSES)
    targets = 12 * np.eye(len(known)) - 4
    weights[:, _KNOWN] = np.linalg.pinv(known - centre) @ targets
    biases[list(_KNOWN)] = 4 - centre @ weights[:, _KNOWN]
    return weights, biases


def _ask(graph: GraphDef, tensor: str, photo: bytes) -> NDArray[Any]:
    import tensorflow as tf

    with tf.Graph().as_default() as loaded:
        tf.graph_util.import_graph_def(graph, name="")
        with tf.compat.v1.Session(graph=loaded) as session:
            answer: NDArray[Any] = session.run(tensor, {"DecodeJpeg/contents:0": photo})
    return answer


def _write_tgz(path: Path, members: Mapping[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
