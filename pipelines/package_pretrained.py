"""package: the imported network becomes a bundle, proved on real photos."""

from argparse import Namespace

from modelyard.packaging.bundling import describe_proof, keep_proved
from modelyard.packaging.photo_candidate import convert_pretrained
from modelyard.params import Params
from modelyard.stage import run_stage


def package_pretrained(paths: Namespace, params: Params) -> None:
    """Write the bundle and the source's own answers, once both agree."""
    candidate = convert_pretrained(paths.pretrained, paths.precision)
    proof = keep_proved(candidate, paths.bundle, paths.answers, params.package)
    print(describe_proof(candidate, proof))


if __name__ == "__main__":
    run_stage(package_pretrained, "pretrained", "bundle", "answers", precision=("float32", "int8"))
