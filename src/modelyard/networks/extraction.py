"""Features of pictures, computed by the trunk in LiteRT, as they are when it is served."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.images.fitting import fit_picture
from modelyard.images.pictures import Pictures
from modelyard.images.threads import count_workers, work_through
from modelyard.inference.bundle import read_bundle
from modelyard.inference.runtime.interpreters import Pool
from modelyard.inference.runtime.processors import count_processors
from modelyard.networks.features import Features, Floats, Trunk, read_features, write_features
from modelyard.networks.importing.imported import read_imported
from modelyard.networks.joining import cut_model
from modelyard.networks.opening import open_network
from modelyard.params import Precision
from modelyard.quiet import quiet_tensorflow

# The key in a bundle's provenance of the number of the model's tensor with the features.
FEATURES_TENSOR = "features_tensor"
# How many pictures are computed before they are written to the disk.
KEPT_AT_ONCE = 1000


def make_trunk(folder: Path, bundles: Path, precision: Precision) -> Trunk:
    """Cut the imported network's bundle at its features, or convert the network up to them if it has none.

    Raises ModelyardError if conf/ names no features, or the network cannot be converted.
    """
    imported = read_imported(folder)
    if (bundles / precision).exists():
        bundle = read_bundle(bundles / precision)
        if (tensor := bundle.provenance.get(FEATURES_TENSOR)) is not None:
            model = cut_model(bundle.read_model(), tensor, pooled=True)
            return Trunk(model, precision, imported.preprocessing, imported.provenance)
    with quiet_tensorflow(), open_network(imported) as network:
        model = network.convert_features(precision)
    return Trunk(model, precision, imported.preprocessing, imported.provenance)


def extract_features(trunk: Trunk, parts: Sequence[Pictures], out: Path) -> None:
    """Write the features of pictures to `out`, and show progress.

    Features that `out` already has from the same trunk are kept, including those of a run that was killed.
    Raises ModelyardError if a picture cannot be read, or a feature is NaN.
    """
    known = _read_known(out, trunk)
    wanted = {part.key(place): (part, place) for part in parts for place in range(len(part))}
    rows = {key: known[key] for key in wanted if key in known}
    missing = [key for key in wanted if key not in rows]
    print(f"features of {len(missing):,} pictures", file=sys.stderr, flush=True)
    for start in range(0, len(missing), KEPT_AT_ONCE):
        keys = missing[start : start + KEPT_AT_ONCE]
        title = f"features from {start:,} on"
        if start:
            # For the next run, if this one is killed.
            write_features(out, Features(rows, trunk))
        rows |= dict(zip(keys, _compute(trunk, [wanted[key] for key in keys], title), strict=True))
    write_features(out, Features(rows, trunk))


def _read_known(out: Path, trunk: Trunk) -> dict[str, Floats]:
    """Return the features that an earlier run left, if it had the same trunk."""
    try:
        earlier = read_features(out)
    except ModelyardError as error:
        if out.exists():
            print(f"{error}: all features are computed anew", file=sys.stderr)
        return {}
    return dict(earlier.rows) if earlier.trunk.digest == trunk.digest else {}


def _compute(trunk: Trunk, pictures: Sequence[tuple[Pictures, int]], title: str) -> list[Floats]:
    """Run the trunk on all processors; each picture is decoded when its turn comes."""
    # One thread for each picture is fastest: several would wait for each other in every layer.
    workers, processors = count_workers(), count_processors()
    pool = Pool(trunk.model, interpreters=workers, threads=processors // workers)

    def run(one: tuple[Pictures, int]) -> Floats:
        fitted = fit_picture(*one, trunk.preprocessing)
        with pool.borrow() as interpreter:
            row: Floats = interpreter.run(np.asarray(fitted, np.float32)[None]).scores
        return row

    rows = work_through(run, pictures, title)
    if not np.isfinite(np.stack(rows)).all():
        raise ModelyardError("features: expected numbers, got NaN or infinity: import the network again")
    return rows
