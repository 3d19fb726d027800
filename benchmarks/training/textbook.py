"""`python -m benchmarks.training.textbook`: the first script of any Keras book, same clock; prints JSON."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.training.entry import run_measurement
from benchmarks.training.outcome import Fit, measure_outcome, read_examples
from benchmarks.training.runs import TEXTBOOK, Epoch, Run, measure_peak_rss_mb
from modelyard.images.examples import Examples
from modelyard.quiet import import_tensorflow

if TYPE_CHECKING:
    import keras

SCALE, BATCH_SIZE, EPOCHS = 1 / 255, 32, 2


def fit_textbook(seed: int, data: Path, keep: Path | None) -> Run:
    """Fit it to the same training images; scaling them and all validation are left out of its time."""
    training, validation = read_examples(data, "train"), read_examples(data, "validation")
    x, y = training.inputs.astype("float32") * SCALE, training.labels
    began_s = time.perf_counter()
    import_tensorflow()
    import_s = time.perf_counter() - began_s
    import keras

    keras.utils.set_random_seed(seed)
    watch = Watch(validation)
    began_s = time.perf_counter()
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
    network.fit(x, y, epochs=EPOCHS, batch_size=BATCH_SIZE, verbose=2, callbacks=[watch.callback(network)])
    # Here it ends.
    fit_s = time.perf_counter() - began_s - watch.stopped_s
    fit = Fit(
        name=TEXTBOOK,
        seed=seed,
        members=1,
        images=len(training),
        batch_size=BATCH_SIZE,
        import_s=import_s,
        fit_s=fit_s,
        epochs=tuple(Epoch(at_s - began_s, accuracy) for at_s, accuracy in watch.seen),
        peak_rss_mb=measure_peak_rss_mb(),
    )
    return measure_outcome(fit, network, data, keep, SCALE)


class Watch:
    """Validation after every epoch, with the clock stopped.

    Attributes:
        seen: the time on the stopped clock and the accuracy, at the end of every epoch.
        stopped_s: for how long the clock stood in all.
    """

    def __init__(self, validation: Examples) -> None:
        self.inputs, self.labels = validation.inputs.astype("float32") * SCALE, validation.labels
        self.seen: list[tuple[float, float]] = []
        self.stopped_s = 0.0

    def callback(self, network: "keras.Model") -> "keras.callbacks.Callback":
        """Return what Keras calls at the end of an epoch."""
        import keras

        return keras.callbacks.LambdaCallback(on_epoch_end=lambda _epoch, _logs: self._look(network))

    def _look(self, network: "keras.Model") -> None:
        now_s = time.perf_counter()
        _, accuracy = network.evaluate(self.inputs, self.labels, batch_size=1000, verbose=0)
        self.seen.append((now_s - self.stopped_s, float(accuracy)))
        self.stopped_s += time.perf_counter() - now_s


if __name__ == "__main__":
    run_measurement(lambda given: fit_textbook(given.seed, given.data, given.keep).plain(), "seed")
