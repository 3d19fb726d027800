"""`python -m benchmarks.training.fit`: one preset with one seed, fitted as `make repro` does; prints JSON."""

import time
from pathlib import Path

from benchmarks.training.entry import run_measurement
from benchmarks.training.outcome import Fit, measure_outcome, read_examples
from benchmarks.training.presets import compose_preset
from benchmarks.training.runs import Epoch, Run, measure_peak_rss_mb
from modelyard.errors import ModelyardError
from modelyard.quiet import import_tensorflow
from modelyard.training.checkpoints import Metrics
from modelyard.training.members import fit_members
from modelyard.training.task import Task


def fit_preset(preset: str, seed: int, data: Path, keep: Path | None) -> Run:
    """Fit a preset to the training images; data and TensorFlow are there before the clock starts.

    Raises:
        ModelyardError: there is no such preset, or it goes on from another network; the data is missing.
    """
    params = compose_preset(preset, seed)
    if params.train.resume_from is not None:
        raise ModelyardError(f"{preset}: expected train.resume_from null, got {params.train.resume_from}")
    training = read_examples(data, "train").first(params.train.images)
    task = Task(params.model, params.train, training, read_examples(data, "validation"))
    began_s = time.perf_counter()
    import_tensorflow()
    import_s = time.perf_counter() - began_s
    epochs: list[Epoch] = []

    def note(_: int, row: Metrics) -> None:
        epochs.append(Epoch(time.perf_counter() - began_s, row["val_accuracy"]))

    began_s = time.perf_counter()
    network, _ = fit_members(task, note)
    fit_s = time.perf_counter() - began_s
    fit = Fit(
        name=preset,
        seed=seed,
        members=params.model.members,
        images=len(training),
        batch_size=params.train.batch_size,
        import_s=import_s,
        fit_s=fit_s,
        epochs=tuple(epochs),
        peak_rss_mb=measure_peak_rss_mb(),
    )
    return measure_outcome(fit, network, data, keep)


if __name__ == "__main__":
    run_measurement(
        lambda given: fit_preset(given.preset, given.seed, given.data, given.keep).plain(), "preset", "seed"
    )
