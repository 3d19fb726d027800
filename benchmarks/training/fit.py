"""`python -m benchmarks.training.fit`: fit a preset as `make repro` does, or the textbook; prints JSON."""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path

from benchmarks.training.outcome import Fit, measure_fit, read_examples
from benchmarks.training.presets import compose_preset
from benchmarks.training.runs import TEXTBOOK
from benchmarks.training.textbook import prepare_textbook
from modelyard.errors import ModelyardError, UsageError
from modelyard.training.members import fit_members
from modelyard.training.task import Task


def prepare_preset(preset: str, seed: int, data: Path, overrides: Sequence[str]) -> Fit:
    """Prepare the fit of a preset, changed by Hydra's overrides."""
    params = compose_preset(preset, seed, overrides)
    if params.train.resume_from is not None:
        raise ModelyardError(f"{preset}: expected train.resume_from null, got {params.train.resume_from}")
    training = read_examples(data, "train").first(params.train.images)
    task = Task(params.model, params.train, training, read_examples(data, "validation"))
    return Fit(
        lambda clock: fit_members(task, lambda _, row: clock.end_epoch(row["val_accuracy"]))[0],
        len(training),
        params.train.batch_size,
        params.model.members,
    )


def main() -> int:
    """Fit, print the run, and return the exit code; all other output goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = f"a file of conf/model, or {TEXTBOOK}"
    parser.add_argument("--preset", required=True, metavar="NAME", help=known)
    parser.add_argument("--seed", type=int, required=True, metavar="N")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="FOLDER", help="default: data")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for the probabilities; default: nowhere")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes to the preset")
    given = parser.parse_args()
    name, seed, data = given.preset, given.seed, given.data
    try:
        with redirect_stdout(sys.stderr):
            textbook = name == TEXTBOOK
            fit = prepare_textbook(seed, data) if textbook else prepare_preset(name, seed, data, given.set)
            run = measure_fit(name, seed, fit, data, given.keep)
    except ModelyardError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    print(json.dumps(asdict(run)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
