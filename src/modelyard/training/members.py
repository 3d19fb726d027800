"""The networks behind one bundle: one, or several that answer together."""

from dataclasses import replace
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.networks.layers import build_network, join_members
from modelyard.training.checkpoints import Checkpoints, Metrics
from modelyard.training.fitting import OnEpoch, fit_network
from modelyard.training.optimizers import compile_network
from modelyard.training.strategy import open_strategy
from modelyard.training.task import Task, seed_everything

if TYPE_CHECKING:
    import keras


def fit_members(
    task: Task, on_epoch: OnEpoch, checkpoints: Checkpoints | None = None
) -> tuple["keras.Model", list[Metrics]]:
    """Fit as many networks as `model.members` says, one after the other, and join them.

    Args:
        task: what to fit; member n takes the seed `train.seed + n`.
        on_epoch: as for `fit_network`; the epochs of all members are counted through.
        checkpoints: as well.

    Returns:
        The network that answers with their average, float32 throughout, and all rows; those of an ensemble
        have the number of their `member`, from 0.

    Raises:
        ModelyardError: as `fit_network`, or an ensemble is to go on from a file.
    """
    count = task.model.members
    if count > 1 and task.start is not None:
        raise ModelyardError(f"train.resume_from: expected null for {count} members, got {task.start}")
    open_strategy(task.train.strategy)
    members, rows = [], []
    for member in range(count):
        train = task.train.model_copy(update={"seed": task.train.seed + member})
        seed_everything(train.seed)

        def tell(_: int, row: Metrics, member: int = member) -> None:
            rows.append(row if count == 1 else {"member": float(member), **row})
            on_epoch(len(rows) - 1, rows[-1])

        own = replace(task, train=train)
        network, _ = fit_network(own, tell, checkpoints, member)
        members.append(_make_plain(network, own))
    return join_members(task.model, members), rows


def _make_plain(network: "keras.Model", task: Task) -> "keras.Model":
    """Return the same network of Keras' own layers in float32, on one device, as it is kept and served."""
    plain = build_network(task.model, task.shape, task.training.classes)
    plain.set_weights(network.get_weights())
    compile_network(plain, task.train.model_copy(update={"label_smoothing": 0.0}), 0, task.steps)
    for variable, value in zip(plain.optimizer.variables, network.optimizer.variables, strict=True):
        variable.assign(value.numpy())
    return plain
