"""package: the trained network becomes a bundle, proved on the validation split."""

from argparse import Namespace

from modelyard.images.dataset import read_dataset
from modelyard.images.pictures import read_pictures
from modelyard.networks.features import read_features, read_split
from modelyard.packaging.bundling import package
from modelyard.packaging.source import Source
from modelyard.packaging.trained import read_joined, read_trained
from modelyard.params import Params
from modelyard.quiet import import_tensorflow
from modelyard.stages.stage import run_stage


def package_trained(paths: Namespace, params: Params) -> None:
    """Write a bundle for each precision that answers as the network does.

    It also says how unlike the training pictures a picture is.
    """
    import_tensorflow()
    source = _read_source(paths, params)
    precisions = params.package.trained if params.model.input == "pixels" else (params.features.precision,)
    package(source, precisions, params.package, paths.bundles, paths.answers)


def _read_source(paths: Namespace, params: Params) -> Source:
    dataset, pictures = read_dataset(paths.dataset), read_pictures(paths.validation, paths.source)
    trained = (paths.network, paths.record, dataset)
    features = read_features(paths.features) if params.model.input == "features" else None
    split = read_split(paths.train, paths.validation, paths.source, features, params.train.images)
    if features is not None:
        return read_joined(*trained, features, split, pictures)
    return read_trained(*trained, split, pictures, params.package.proof_pictures)


if __name__ == "__main__":
    run_stage(
        package_trained,
        *("network", "record", "dataset", "train", "validation", "source", "features"),
        *("bundles", "answers"),
    )
