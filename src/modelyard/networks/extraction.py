"""Extraction: the trunk's features of pictures, computed through LiteRT as they will be when it is served."""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Never

import numpy as np
from tqdm import tqdm

from modelyard.errors import ModelyardError
from modelyard.images.pictures import Pictures
from modelyard.inference.fits import fit_pixels
from modelyard.inference.interpreters import Pool
from modelyard.networks.features import Features, Floats, Trunk, read_features, write_features
from modelyard.networks.importing.imported import read_imported
from modelyard.networks.opening import open_network
from modelyard.params import Precision
from modelyard.quiet import quiet_tensorflow

# So many pictures later, what is done is on the disk.
KEPT_AT_ONCE = 1000


def make_trunk(folder: Path, precision: Precision) -> Trunk:
    """Convert the imported network in `folder` up to its features.

    Raises:
        ModelyardError: conf/ names no features of it, or it cannot be converted.
    """
    imported = read_imported(folder)
    with quiet_tensorflow(), open_network(imported) as network:
        model = network.convert_features(precision)
    return Trunk(model, precision, imported.preprocessing, imported.provenance)


def extract_features(trunk: Trunk, parts: Sequence[Pictures], out: Path) -> None:
    """Write the features of pictures, and show how far it is.

    Those that are in `out` already, of the same picture by the same trunk, are not computed again; what a
    killed run has done so far is there.

    Raises:
        ModelyardError: a picture cannot be read, or a feature is NaN.
    """
    known = _read_known(out, trunk)
    wanted = {part.key(place): (part, place) for part in parts for place in range(len(part))}
    rows = {key: known[key] for key in wanted if key in known}
    missing = [key for key in wanted if key not in rows]
    with _progress(len(missing)) as bar:
        for start in range(0, len(missing), KEPT_AT_ONCE):
            keys = missing[start : start + KEPT_AT_ONCE]
            rows |= dict(zip(keys, _compute(trunk, [wanted[key] for key in keys], bar), strict=True))
            write_features(out, Features(rows, trunk))
    write_features(out, Features(rows, trunk))


def _read_known(out: Path, trunk: Trunk) -> dict[str, Floats]:
    """Return what an earlier run of the stage left, if it had the same trunk."""
    try:
        earlier = read_features(out)
    except ModelyardError as error:
        if out.exists():
            print(f"{error}: all features are computed anew", file=sys.stderr)
        return {}
    return dict(earlier.rows) if earlier.trunk.digest == trunk.digest else {}


def _progress(pictures: int) -> "tqdm[Never]":
    """Return a bar; where stderr is no terminal, say one line instead."""
    terminal = sys.stderr.isatty()
    if not terminal:
        print(f"features of {pictures:,} pictures", file=sys.stderr, flush=True)
    return tqdm(desc="features", total=pictures, unit="picture", file=sys.stderr, disable=not terminal)


def _compute(trunk: Trunk, pictures: Sequence[tuple[Pictures, int]], bar: "tqdm[Never]") -> list[Floats]:
    """Run the trunk over pictures on all processors; each is decoded when its turn comes."""
    how = trunk.preprocessing
    # Two threads an interpreter, as the predictor has for a network of this size.
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = max(1, processors // 2)
    pool = Pool(trunk.model, interpreters=workers, threads=min(processors, 2))

    def run(one: tuple[Pictures, int]) -> Floats:
        part, place = one
        fitted = fit_pixels(how.fit, part.pixels(place, how.channels == 1), how.height, how.width)
        with pool.borrow() as interpreter:
            row: Floats = interpreter.run(np.asarray(fitted, np.float32)[None])[0]
        bar.update()
        return row

    with ThreadPoolExecutor(workers) as executor:
        rows = list(executor.map(run, pictures))
    if not np.isfinite(np.stack(rows)).all():
        raise ModelyardError("features: expected numbers, got NaN or infinity: import the network again")
    return rows
