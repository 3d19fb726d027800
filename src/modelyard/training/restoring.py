"""Restores a training from a `.keras` file: the weights, and the optimizer's step count and moments."""

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError

if TYPE_CHECKING:
    import keras


def load_network(path: Path) -> "keras.Model":
    """Load a network with its optimizer; raises ModelyardError if the file is missing or holds none."""
    import keras

    # Keras finds these classes by name when it loads a checkpoint.
    from modelyard.networks import normalization  # noqa: F401
    from modelyard.training import loss  # noqa: F401

    if not path.is_file():
        raise ModelyardError(
            f"train.resume_from: expected a .keras file, {path} does not exist. DVC removes a stage's own "
            "output before it runs: copy it first, or name a version (models:/mnist/3)"
        )
    try:
        network = keras.saving.load_model(path)
    except Exception as error:  # zipfile, json, h5py and Keras raise errors of many types.
        raise ModelyardError(
            f"train.resume_from: expected a .keras file, {path} cannot be read as one ({error})"
        ) from error
    if getattr(network, "optimizer", None) is None:
        raise ModelyardError(
            f"train.resume_from: {path} has no optimizer: it is an ensemble, or was saved without training"
        )
    return network


def restore_state(network: "keras.Model", earlier: "keras.Model", origin: Path) -> None:
    """Give a compiled network the weights and optimizer state of `earlier`, read from `origin`.

    Raises ModelyardError if the layers or the optimizers differ.
    """
    shapes = [[tuple(weight.shape) for weight in each.weights] for each in (network, earlier)]
    if shapes[0] != shapes[1]:
        raise ModelyardError(
            f"train.resume_from: expected a network like model={network.name} with weights {shapes[0]}, "
            f"{origin} has {shapes[1]}"
        )
    network.set_weights(earlier.get_weights())
    source, target = _select_states(earlier.optimizer, network.optimizer)
    if [variable.shape for variable in source] != [variable.shape for variable in target]:
        expected, got = (_name_optimizer(each.optimizer) for each in (earlier, network))
        raise ModelyardError(
            f"train.optimizer: expected {expected} as in {origin}, got {got}: the momentum and "
            "train.ema_momentum must be the same as well"
        )
    for variable, value in zip(target, source, strict=True):
        variable.assign(value)


def _name_optimizer(optimizer: "keras.optimizers.Optimizer") -> str:
    return type(getattr(optimizer, "inner_optimizer", optimizer)).__name__.lower()


def _select_states(*optimizers: "keras.optimizers.Optimizer") -> list[list["keras.Variable"]]:
    """Return each optimizer's step count and moments, without its learning rate.

    The loss scale of mixed_float16 is included only if both have one.
    """
    inner = [getattr(optimizer, "inner_optimizer", None) for optimizer in optimizers]
    if not all(inner):
        optimizers = tuple(found or whole for found, whole in zip(inner, optimizers, strict=True))
    return [
        [variable for variable in optimizer.variables if not variable.path.endswith("/learning_rate")]
        for optimizer in optimizers
    ]
