"""package: the trained network becomes a bundle, proved on the validation split."""

from argparse import Namespace

from modelyard.packaging.bundling import describe_proof, keep_proved
from modelyard.packaging.digit_candidate import convert_trained
from modelyard.params import Params
from modelyard.stage import run_stage


def package_trained(paths: Namespace, params: Params) -> None:
    """Write the bundle and the network's own answers, once both agree."""
    candidate = convert_trained(paths.network, paths.images, paths.record, params.package.precision)
    proof = keep_proved(candidate, paths.bundle, paths.answers, params.package)
    print(describe_proof(candidate, proof))


if __name__ == "__main__":
    run_stage(package_trained, "network", "images", "record", "bundle", "answers")
