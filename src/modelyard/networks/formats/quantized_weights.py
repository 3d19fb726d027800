"""Weights as TensorFlow.js publishes them: one byte each, with a scale and a minimum for every tensor.

The format is the `weights_manifest.json` of a layers model, quantised to uint8: a value is `byte * scale +
min`. Here the manifest and the base64 shards are wrapped in JavaScript modules.
"""

import base64
import binascii
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelyard.arrays import open_arrays, write_arrays
from modelyard.errors import ModelyardError

_MANIFEST_KEY = "weightsManifest:"
_SHARD = re.compile(r'"([A-Za-z0-9+/]{1000,}={0,2})"')
_RANGE = ":range"


class Quantized(NamedTuple):
    """A tensor of uint8 values, with the scale and minimum of their range."""

    values: NDArray[np.uint8]
    scale: float
    minimum: float

    def dequantize(self) -> NDArray[np.float32]:
        """Return `values * scale + minimum`."""
        return self.values * np.float32(self.scale) + np.float32(self.minimum)


def read_javascript_weights(model: Path, shards: Sequence[Path]) -> dict[str, Quantized]:
    """Read a TensorFlow.js layers model: the module with its `weightsManifest`, and the shards in its order.

    Raises ModelyardError if a file is of another format, or the number of bytes is not the manifest's.
    """
    entries = [entry for group in _read_manifest(model) for entry in group["weights"]]
    content = b"".join(_read_shard(path) for path in shards)
    sizes = [math.prod(entry["shape"]) for entry in entries]
    if len(content) != sum(sizes):
        raise ModelyardError(
            f"{model}: expected {sum(sizes):,} bytes of weights, the shards hold {len(content):,}"
        )
    weights: dict[str, Quantized] = {}
    parts = np.split(np.frombuffer(content, np.uint8), np.cumsum(sizes)[:-1])
    for entry, part in zip(entries, parts, strict=True):
        how = entry["quantization"]
        weights[entry["name"]] = Quantized(part.reshape(entry["shape"]), how["scale"], how["min"])
    return weights


def write_weights(path: Path, weights: dict[str, Quantized]) -> None:
    """Write quantised weights to an .npz: NAME uint8, and NAME:range float64 (scale, minimum)."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, weight in weights.items():
        arrays[name] = weight.values
        arrays[name + _RANGE] = np.array([weight.scale, weight.minimum])
    write_arrays(path, arrays, compressed=False)


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read what `write_weights` wrote, dequantised; raises ModelyardError if that is not there."""
    remedy = "run `dvc repro import`"
    with open_arrays(path, "weights as .npz", remedy, remedy) as arrays:
        names = [name for name in arrays.files if not name.endswith(_RANGE)]
        return {name: Quantized(arrays[name], *arrays[name + _RANGE]).dequantize() for name in names}


def _read_manifest(model: Path) -> list[dict[str, Any]]:
    """Return the manifest, a list in JavaScript's notation within a line of code."""
    import json5

    text = model.read_text(encoding="utf-8")
    start = text.find(_MANIFEST_KEY) + len(_MANIFEST_KEY)
    if start < len(_MANIFEST_KEY):
        raise ModelyardError(
            f"{model}: expected a TensorFlow.js model with a {_MANIFEST_KEY[:-1]}, found none"
        )
    try:
        manifest: list[dict[str, Any]] = json5.loads(text[start : _closing_bracket(text, start)])
        for group in manifest:
            for entry in group["weights"]:
                if entry["quantization"]["dtype"] != "uint8":
                    raise ValueError(f"{entry['name']} is not quantised to uint8")
    except (ValueError, KeyError, TypeError) as error:
        raise ModelyardError(
            f"{model}: expected a list of uint8 weights as {_MANIFEST_KEY[:-1]}: {error}"
        ) from None
    return manifest


def _closing_bracket(text: str, start: int) -> int:
    """Return the end of the list that begins at `start`; no string in it holds a bracket."""
    depth = 0
    for match in re.finditer(r"[\[\]]", text[start:]):
        depth += 1 if match[0] == "[" else -1
        if depth == 0:
            return start + match.end()
    return len(text)


def _read_shard(path: Path) -> bytes:
    found = _SHARD.findall(path.read_text(encoding="utf-8"))
    if len(found) != 1:
        raise ModelyardError(f"{path}: expected one long base64 text, found {len(found)}")
    try:
        return base64.b64decode(found[0], validate=True)
    except binascii.Error as error:
        raise ModelyardError(f"{path}: expected base64, got other text ({error})") from None
