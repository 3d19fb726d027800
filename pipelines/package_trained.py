"""package: the trained network becomes a bundle, proved on the validation split."""

from argparse import Namespace

from modelyard.images.dataset import read_dataset
from modelyard.images.examples import read_examples
from modelyard.images.pictures import read_pictures
from modelyard.networks.features import read_features
from modelyard.packaging.bundling import package
from modelyard.packaging.source import Source
from modelyard.packaging.trained import read_joined, read_trained
from modelyard.params import Params
from modelyard.quiet import quiet_tensorflow
from modelyard.stage import run_stage


def package_trained(paths: Namespace, params: Params) -> None:
    """Write a bundle for each precision that answers as the network does."""
    with quiet_tensorflow():
        source = _read_source(paths, params)
    precisions = params.package.trained if params.model.input == "pixels" else (params.features.precision,)
    package(source, precisions, params.package, paths.bundles, paths.answers)


def _read_source(paths: Namespace, params: Params) -> Source:
    dataset = read_dataset(paths.dataset)
    if params.model.input == "pixels":
        return read_trained(paths.network, paths.record, dataset, read_examples(paths.validation))
    pictures = read_pictures(paths.validation, paths.source)
    return read_joined(paths.network, paths.record, dataset, read_features(paths.features), pictures)


if __name__ == "__main__":
    run_stage(
        package_trained,
        *("network", "record", "dataset", "validation", "source", "features"),
        *("bundles", "answers"),
    )
