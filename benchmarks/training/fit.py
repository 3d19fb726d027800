"""`python -m benchmarks.training.fit`: fit a preset as `make repro` does, or the textbook; prints JSON."""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.training.outcome import Clock, Fit, measure_fit, read_examples
from benchmarks.training.presets import compose_preset
from benchmarks.training.runs import TEXTBOOK
from modelyard.errors import ModelyardError, UsageError
from modelyard.training.members import fit_members
from modelyard.training.task import Task

# Of the textbook.
SCALE, BATCH_SIZE, EPOCHS = 1 / 255, 32, 2


def prepare_preset(preset: str, seed: int, data: Path, overrides: Sequence[str]) -> Fit:
    """Prepare the fit of a preset, changed by Hydra's overrides."""
    params = compose_preset(preset, seed, overrides)
    if params.train.resume_from is not None:
        raise ModelyardError(f"{preset}: expected train.resume_from null, got {params.train.resume_from}")
    training = read_examples(data, "train").first(params.train.images)
    task = Task(params.model, params.train, training, read_examples(data, "validation"))

    def run(clock: Clock) -> Any:
        return fit_members(task, lambda _, row: clock.end_epoch(row["val_accuracy"]))[0]

    return Fit(run, len(training), params.train.batch_size, params.model.members)


def prepare_textbook(seed: int, data: Path) -> Fit:
    """Prepare the first script of any Keras book; its clock leaves out scaling and validation."""
    training, validation = read_examples(data, "train"), read_examples(data, "validation")
    x, x_val = (read.inputs.astype("float32") * SCALE for read in (training, validation))

    def run(clock: Clock) -> Any:
        import keras

        def validate(_epoch: int, _logs: object) -> None:
            with clock.paused():
                _, accuracy = network.evaluate(x_val, validation.labels, batch_size=1000, verbose=0)
            clock.end_epoch(accuracy)

        watch = keras.callbacks.LambdaCallback(on_epoch_end=validate)
        keras.utils.set_random_seed(seed)
        # Here the textbook begins.
        network = keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                keras.layers.Flatten(),
                keras.layers.Dense(512, activation="relu"),
                keras.layers.Dense(10, activation="softmax"),
            ]
        )
        network.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        network.fit(x, training.labels, BATCH_SIZE, EPOCHS, verbose=2, callbacks=[watch])
        # Here it ends.
        return network

    return Fit(run, len(x), BATCH_SIZE, scale=SCALE)


def main() -> int:
    """Fit, print the run, and return the exit code; all other output goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", required=True, help=f"a file of conf/model, or {TEXTBOOK}")
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
