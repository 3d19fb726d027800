"""Going on from a network in a `.keras` file: its weights, and its optimizer's steps and moments."""

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError

if TYPE_CHECKING:
    import keras


def take_over(network: "keras.Model", earlier: "keras.Model", origin: Path) -> None:
    """Give a compiled network the weights and the optimizer's state of another one.

    Args:
        network: takes them.
        earlier: has them, see `load_network`.
        origin: the file of `earlier`, for the error.

    Raises:
        ModelyardError: the layers or the optimizers are of another kind.
    """
    refuse_other_layers(network, earlier, origin)
    network.set_weights(earlier.get_weights())
    source, target = _states(earlier.optimizer, network.optimizer)
    if [variable.shape for variable in source] != [variable.shape for variable in target]:
        raise ModelyardError(
            f"train.optimizer: expected the one of {origin}, {earlier.optimizer.name}, whose state it goes "
            f"on with, got {network.optimizer.name}"
        )
    for variable, value in zip(target, source, strict=True):
        variable.assign(value)


def load_network(path: Path) -> "keras.Model":
    """Read a network with its optimizer.

    Raises:
        ModelyardError: the file is missing, or is no such network.
    """
    import keras

    # What a checkpoint is made of.
    from modelyard.networks import normalization  # noqa: F401
    from modelyard.training import loss  # noqa: F401

    if not path.is_file():
        raise ModelyardError(
            f"train.resume_from: expected a .keras file, {path} is not there. DVC removes a stage's own "
            "output before it runs: copy it first, or name a version (models:/mnist/3)"
        )
    try:
        network = keras.saving.load_model(path)
    except Exception as error:  # Keras raises whatever its parts raise: zipfile, json, h5py, its own.
        raise ModelyardError(
            f"train.resume_from: expected a .keras file, {path} cannot be read as one ({error})"
        ) from error
    if getattr(network, "optimizer", None) is None:
        raise ModelyardError(
            f"train.resume_from: {path} holds no optimizer: it is an ensemble, or was saved without training"
        )
    return network


def refuse_other_layers(expected: "keras.Model", got: "keras.Model", path: Path) -> None:
    """Refuse a network whose weights have other shapes.

    Raises:
        ModelyardError: they have.
    """
    shapes = [[tuple(weight.shape) for weight in network.weights] for network in (expected, got)]
    if shapes[0] != shapes[1]:
        raise ModelyardError(
            f"train.resume_from: expected a network like model={expected.name} with weights {shapes[0]}, "
            f"{path} has {shapes[1]}"
        )


def _states(*optimizers: "keras.optimizers.Optimizer") -> list[list["keras.Variable"]]:
    """Return step counts and moments; the learning rate stays the new one's.

    Those of mixed_float16 have the scale of the loss too, which counts where both have one.
    """
    inner = [getattr(optimizer, "inner_optimizer", None) for optimizer in optimizers]
    if not all(inner):
        optimizers = tuple(found or whole for found, whole in zip(inner, optimizers, strict=True))
    return [
        [variable for variable in optimizer.variables if not variable.path.endswith("/learning_rate")]
        for optimizer in optimizers
    ]
