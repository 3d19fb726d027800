"""The Keras networks for 28x28 digits, and the optimizer that fits them."""

from typing import TYPE_CHECKING

from modelyard.params import Model, Train

if TYPE_CHECKING:
    import keras

CLASSES = 10
# One Python call for so many steps; small networks gain a quarter of their time.
STEPS_PER_CALL = 20


def build_network(model: Model) -> "keras.Model":
    """Make a network with fresh weights.

    Input: float32 (n, 28, 28, 1), pixels 0..255, light digit on dark ground; normalised inside, so that what
    serves it sends plain pixels. Output: float32 (n, 10), probabilities.
    """
    import keras
    from keras import layers

    network = [keras.Input((28, 28, 1), name="image"), layers.Rescaling(1 / 255)]
    for shape in model.convolutions:
        network.append(layers.Conv2D(shape.filters, shape.kernel, padding="same", activation="relu"))
        network.append(layers.MaxPooling2D())
    network.append(layers.Flatten())
    network += [layers.Dense(units, activation="relu") for units in model.dense]
    network.append(layers.Dense(CLASSES, activation="softmax", name="probabilities"))
    return keras.Sequential(network, name=model.name)


def compile_network(network: "keras.Model", train: Train, first_step: int, steps: int) -> None:
    """Give the network a new optimizer, for the `steps` steps that follow `first_step`."""
    import keras

    optimizer = keras.optimizers.Adam(
        learning_rate=_learning_rate(train, first_step, steps),
        beta_1=train.optimizer.beta_1,
        beta_2=train.optimizer.beta_2,
    )
    optimizer.build(network.trainable_variables)
    network.compile(
        optimizer=optimizer,
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_CALL,
    )


def _learning_rate(
    train: Train, first_step: int, steps: int
) -> "float | keras.optimizers.schedules.LearningRateSchedule":
    """Return the learning rate, or its course: up in a line during the warm-up, then down a cosine to zero.

    Keras counts an optimizer's steps from its very first. For a fit that goes on from step n, Keras' own
    schedule is laid so that its warm-up line crosses zero at step n: a class of ours would have to be there
    whenever the file is loaded.
    """
    import keras

    peak = train.optimizer.learning_rate
    if train.schedule.name == "constant":
        return peak
    warmup = round(train.schedule.warmup * steps)
    begin = -peak * first_step / warmup if warmup else peak
    return keras.optimizers.schedules.CosineDecay(
        begin, steps - warmup, warmup_target=peak, warmup_steps=first_step + warmup
    )
