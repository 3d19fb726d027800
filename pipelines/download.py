"""download: a dataset, verified, split in three, and fitted to a network."""

from argparse import Namespace

from modelyard.images.additions.additions import add_pictures
from modelyard.images.dataset import split_dataset, write_dataset
from modelyard.images.fitting import fit_pictures
from modelyard.images.obtaining import obtain
from modelyard.images.pictures import write_pictures
from modelyard.images.samples import write_samples
from modelyard.params import Params
from modelyard.stages.stage import run_stage


def download(paths: Namespace, params: Params) -> None:
    """Write four splits, the record of the dataset, and a few pictures as files."""
    obtained = obtain(params.data, paths.source)
    splits = add_pictures(split_dataset(obtained, params.data), paths.additions)
    for name in ("train", "validation"):
        inputs = fit_pictures(splits[name], params.data.input, f"{name} pictures")
        write_pictures(getattr(paths, name), splits[name], inputs)
    for name in ("test", "recent"):
        write_pictures(getattr(paths, name), splits[name])
    write_samples(paths.samples, splits["validation"], params.data.samples)
    write_dataset(paths.dataset, params.data, obtained, splits)


if __name__ == "__main__":
    run_stage(download, "source", "additions", "train", "validation", "test", "recent", "dataset", "samples")
