"""features: the imported network's features of the pictures, if the model takes them instead of pixels."""

from argparse import Namespace

import numpy as np

from modelyard.images.pictures import read_pictures
from modelyard.networks.features import write_no_features
from modelyard.params import Params
from modelyard.stages.stage import run_stage


def features(paths: Namespace, params: Params) -> None:
    """Write the features of the chosen pictures, or an empty file if the model takes pixels."""
    if params.model.input == "pixels":
        write_no_features(paths.out)
        return
    # LiteRT takes time to import.
    from modelyard.networks.extraction import extract_features, make_trunk

    training, validation = (read_pictures(path, paths.source) for path in (paths.train, paths.validation))
    chosen = training.take(np.arange(len(training))[: params.train.images])
    trunk = make_trunk(paths.imported, paths.bundles, params.features.precision)
    extract_features(trunk, [chosen, validation], paths.out)


if __name__ == "__main__":
    run_stage(features, "train", "validation", "source", "imported", "bundles", "out")
