"""package: the imported network becomes a bundle for each precision, proved on cut-outs of real photos."""

from argparse import Namespace

from modelyard.images.crops import read_samples
from modelyard.networks.importing.imported import SAMPLES
from modelyard.packaging.bundling import package
from modelyard.packaging.imported import open_source
from modelyard.params import Params
from modelyard.quiet import import_tensorflow
from modelyard.stages.stage import run_stage


def package_imported(paths: Namespace, params: Params) -> None:
    """Write a bundle for each precision that answers as the original network does."""
    import_tensorflow()
    samples = read_samples(paths.imported / SAMPLES, params.package.proof_pictures)
    with open_source(paths.imported, samples) as source:
        package(source, params.package.imported, params.package, paths.bundles, paths.answers)


if __name__ == "__main__":
    run_stage(package_imported, "imported", "bundles", "answers")
