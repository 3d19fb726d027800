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
from modelyard.quiet import import_tensorflow
from modelyard.stages.stage import run_stage


def package_trained(paths: Namespace, params: Params) -> None:
    """Write a bundle for each precision that answers as the network does."""
    import_tensorflow()
    source = _read_source(paths, params)
    precisions = params.package.trained if params.model.input == "pixels" else (params.features.precision,)
    package(source, precisions, params.package, paths.bundles, paths.answers)


def _read_source(paths: Namespace, params: Params) -> Source:
    dataset, pictures = read_dataset(paths.dataset), read_pictures(paths.validation, paths.source)
    trained = (paths.network, paths.record, dataset)
    if params.model.input == "features":
        return read_joined(*trained, read_features(paths.features), pictures)
    examples, least = read_examples(paths.validation), params.package.proof_pictures
    return read_trained(*trained, examples, pictures, least)


if __name__ == "__main__":
    run_stage(
        package_trained,
        *("network", "record", "dataset", "validation", "source", "features"),
        *("bundles", "answers"),
    )
