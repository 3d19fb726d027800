"""The first script of any Keras book."""

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.training.outcome import Clock, Fit, read_examples

if TYPE_CHECKING:
    import keras

SCALE, BATCH_SIZE, EPOCHS = 1 / 255, 32, 2


def prepare_textbook(seed: int, data: Path) -> Fit:
    """Prepare its fit to the same training images; scaling them and validation are not part of its time."""
    (x, y), (x_val, y_val) = (
        (read.inputs.astype("float32") * SCALE, read.labels)
        for read in (read_examples(data, part) for part in ("train", "validation"))
    )

    def run(clock: Clock) -> "keras.Model":
        import keras

        def validate(_epoch: int, _logs: object) -> None:
            with clock.paused():
                _, accuracy = network.evaluate(x_val, y_val, batch_size=1000, verbose=0)
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
        network.fit(x, y, epochs=EPOCHS, batch_size=BATCH_SIZE, verbose=2, callbacks=[watch])
        # Here it ends.
        return network

    return Fit(run, len(x), BATCH_SIZE, scale=SCALE)
