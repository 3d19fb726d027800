"""features: what the imported Inception says of digits, where the model takes that and not pixels."""

from argparse import Namespace

from modelyard.images.dataset import read_digits
from modelyard.images.examples import choose_pictures
from modelyard.networks.features import write_no_features
from modelyard.params import Params
from modelyard.stage import run_stage


def features(paths: Namespace, params: Params) -> None:
    """Write the features of the chosen digits; of none where the model takes pixels, which costs nothing."""
    if params.model.input == "pixels":
        write_no_features(paths.out)
        return
    # It converts with TensorFlow, which takes seconds to import.
    from modelyard.networks.extraction import extract_features

    pictures = choose_pictures(params, read_digits(paths.train), read_digits(paths.validation))
    extract_features(
        paths.pretrained, params.pretrained.features_tensor, params.package.precision, pictures, paths.out
    )


if __name__ == "__main__":
    run_stage(features, "train", "validation", "pretrained", "out")
