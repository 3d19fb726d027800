"""download: MNIST, verified, as uint8 arrays split in three."""

from argparse import Namespace

from modelyard.images.dataset import split, write_digits
from modelyard.images.idx_files import describe_source, obtain_mnist
from modelyard.images.samples import write_samples
from modelyard.files import write_json
from modelyard.params import Params
from modelyard.stage import run_stage


def download(paths: Namespace, params: Params) -> None:
    """Obtain MNIST and write its three splits, their source, and pictures of a few digits."""
    whole, test, address = obtain_mnist(params.data)
    train, validation = split(whole, params.data.validation_images, params.data.split_seed)
    splits = {"train": train, "validation": validation, "test": test}
    for name, digits in splits.items():
        write_digits(getattr(paths, name), digits)
    write_samples(paths.samples, validation, params.data.samples)
    write_json(paths.source, describe_source(params.data, address, splits))


if __name__ == "__main__":
    run_stage(download, "train", "validation", "test", "source", "samples")
