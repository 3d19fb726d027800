"""package: the trained network becomes a bundle, proved on the validation split."""

from argparse import Namespace

from modelyard.images.dataset import read_digits
from modelyard.images.examples import choose_validation
from modelyard.networks.features import read_features, read_origin
from modelyard.packaging.bundling import Candidate, describe_proof, keep_proved
from modelyard.packaging.digit_candidate import convert_trained
from modelyard.packaging.transfer_candidate import convert_transferred
from modelyard.params import Params
from modelyard.stage import run_stage


def package_trained(paths: Namespace, params: Params) -> None:
    """Write the bundle and the network's own answers, once both agree."""
    candidate = _convert(paths, params)
    proof = keep_proved(candidate, paths.bundle, paths.answers, params.package)
    print(describe_proof(candidate, proof))


def _convert(paths: Namespace, params: Params) -> Candidate:
    if params.model.input == "pixels":
        return convert_trained(paths.network, paths.images, paths.record, params.package.precision)
    pictures = choose_validation(params, read_digits(paths.images))
    features = read_features(paths.features, None, pictures).validation
    origin = read_origin(paths.features)
    return convert_transferred(paths.network, paths.record, origin, pictures, features)


if __name__ == "__main__":
    run_stage(package_trained, "network", "record", "images", "features", "bundle", "answers")
