"""package: the imported network becomes a bundle, proved on real photos."""

from argparse import Namespace
from pathlib import Path

from modelyard.convert import Precision
from modelyard.errors import ModelyardError
from modelyard.packaging import describe_proof, keep_proved
from modelyard.params import Params
from modelyard.photo_candidate import convert_pretrained
from modelyard.stage import run_stage


def package_pretrained(paths: Namespace, params: Params) -> None:
    """Write the bundle and the source's own answers, once both agree."""
    candidate = convert_pretrained(paths.pretrained, precision_of(paths.bundle))
    proof = keep_proved(candidate, paths.bundle, paths.answers, params.package)
    print(describe_proof(candidate, proof))


def precision_of(bundle: Path) -> Precision:
    """Read the precision off a bundle's name: Inception is packaged in both, and dvc.yaml names both."""
    match bundle.name.rpartition("-")[2]:
        case "float32":
            return "float32"
        case "int8":
            return "int8"
    raise ModelyardError(f"--bundle: expected a name that ends with -float32 or -int8, got {bundle.name}")


if __name__ == "__main__":
    run_stage(package_pretrained, "pretrained", "bundle", "answers")
