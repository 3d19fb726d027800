"""The files of the stand-in's npm package, as nsfwjs lays them out, with one byte a weight."""

import base64
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

LABELS = ("Drawing", "Hentai", "Neutral", "Porn", "Sexy")
SHARDS = 2
# Longer than the shortest base64 text that is taken for weights.
SIDE = 40

Shapes = Mapping[str, tuple[int, ...]]


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Return the names that Inception v3 needs, each with a small shape of no meaning."""
    numbers = range(1, 95)
    names = [f"conv2d_{number}/kernel" for number in numbers]
    names += [
        f"batch_normalization_{number}/{part}"
        for number in numbers
        for part in ("beta", "moving_mean", "moving_variance")
    ]
    names += [f"dense_{number}/{part}" for number in (1, 2, 3) for part in ("kernel", "bias")]
    return {**dict.fromkeys(names, (SIDE,)), "dense_3/bias": (len(LABELS),)}


def write_package(folder: Path, shapes: Shapes, *, missing_bytes: int = 0) -> dict[str, str]:
    """Write the modules, and return the sha256 of each; byte number n holds n % 256.

    Args:
        folder: where they go.
        shapes: of every weight, in the manifest's order.
        missing_bytes: how many the shards lack at the end.
    """
    size = sum(math.prod(shape) for shape in shapes.values())
    content = (np.arange(size) % 256).astype(np.uint8).tobytes()[: size - missing_bytes]
    half = len(content) // SHARDS
    entries = ",".join(
        f'{{name:"{name}",shape:{list(shape)},dtype:"float32",quantization:{{min:-1.5,scale:.5,dtype:"uint8"}}}}'
        for name, shape in shapes.items()
    )
    manifest = f'weightsManifest:[{{paths:["group1-shard1of2"],weights:[{entries}]}}]'
    files = {
        "model.min.js": f"!function(a){{a({{modelTopology:{{}},{manifest}}})}}();",
        "group1-shard1of2.min.js": _shard(content[:half]),
        "group1-shard2of2.min.js": _shard(content[half:]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}


def _shard(content: bytes) -> str:
    return f'!function(d){{d("{base64.b64encode(content).decode()}")}}({{}},[1])(1);'
