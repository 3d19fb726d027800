"""Training: small networks on made digits, 67 of them, so that a dropped remainder would show."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import compose_values
from made_digits import make_examples
from modelyard.errors import ModelyardError
from modelyard.images.examples import Examples
from modelyard.params import Params, validate_params
from modelyard.training.inputs.batches import training_batches
from modelyard.training.members import _warn_of_few_steps as warn_of_few_steps
from modelyard.training.members import fit_members
from modelyard.training.outcome import save_network, write_history
from modelyard.training.steps import run_many_steps_per_call
from modelyard.training.task import Task, prepare_network
from modelyard.training.whitening import whiten_patches

IMAGES = 67
LAYERS = {
    "name": "small",
    "input": "pixels",
    "crop": 0,
    "first_filters": "learned",
    "convolutions": [{"filters": 2, "kernel": 3, "stride": 1, "padding": "same", "pool": 2}],
    "batch_norm": False,
    "head": "flatten",
    "dense": [8],
    "dropout": 0.0,
    "members": 1,
}


def shrink(values: dict[str, Any]) -> Params:
    """Replace the shipped network by one that trains quickly."""
    values["model"] = LAYERS
    unchanged = dict.fromkeys(values["train"]["augmentation"], 0.0)
    values["train"] |= {"epochs": 2, "batch_size": 16, "augmentation": unchanged}
    return validate_params(values)


@pytest.fixture
def small(values: dict[str, Any]) -> Params:
    return shrink(values)


@pytest.fixture(scope="module")
def examples() -> Examples:
    return make_examples(IMAGES)


def changed(values: dict[str, Any], **train: Any) -> Params:
    values["train"] |= train
    return validate_params(values)


def make_task(params: Params, examples: Examples, start: Path | None = None) -> Task:
    return Task(params.model, params.train, examples, examples, start)


def train(
    params: Params, examples: Examples, start: Path | None = None
) -> tuple[Any, list[dict[str, float]]]:
    return fit_members(make_task(params, examples, start), lambda _epoch, _row: None)


@pytest.fixture(scope="module")
def epochs() -> list[int]:
    """The epochs that the training of `trained` reports."""
    return []


@pytest.fixture(scope="module")
def trained(examples: Examples, epochs: list[int]) -> tuple[Any, list[dict[str, float]]]:
    """The network of `small`, trained once for all that look at it."""
    small = shrink(compose_values())
    return fit_members(make_task(small, examples), lambda epoch, _row: epochs.append(epoch))


@pytest.fixture(scope="module")
def other(examples: Examples) -> Any:
    """The same network with another seed."""
    values = compose_values()
    shrink(values)
    return train(changed(values, seed=1), examples)[0]


@pytest.fixture(scope="module")
def ensemble(examples: Examples) -> tuple[Any, list[dict[str, float]]]:
    """The networks of `trained` and `other`, as two members of one."""
    values = compose_values()
    shrink(values)
    values["model"] = {**LAYERS, "members": 2}
    return train(validate_params(values), examples)


@pytest.fixture(scope="module")
def file(trained: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "small.keras"
    save_network(trained[0], path)
    return path


def equal_weights(first: Any, second: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def test_training_lowers_the_loss_and_reports_every_epoch(trained: Any, epochs: list[int]) -> None:
    _, history = trained
    assert epochs == [0, 1]
    assert history[1]["val_loss"] < history[0]["loss"]
    assert set(history[0]) == {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}


def test_no_image_is_left_out_of_an_epoch(trained: Any) -> None:
    assert int(trained[0].optimizer.iterations) == 2 * -(-IMAGES // 16)


def test_more_steps_than_a_call_takes_are_all_taken(
    values: dict[str, Any], small: Params, examples: Examples
) -> None:
    network, history = train(changed(values, batch_size=2), examples)
    assert int(network.optimizer.iterations) == 2 * 34
    right = [row["accuracy"] * IMAGES for row in history]
    assert right == pytest.approx([round(count) for count in right], abs=1e-3)


def test_keras_calls_the_functions_that_run_many_steps(small: Params, examples: Examples) -> None:
    network, calls = prepare_network(make_task(small, examples)), []
    run_many_steps_per_call(network)
    for name in ("train_function", "test_function"):
        assert callable(getattr(network, name))
        setattr(network, name, lambda _, name=name: calls.append(name) or {"loss": 0.0})
    data = examples.inputs, examples.labels
    network.fit(*data, validation_data=data, batch_size=16, verbose=0)
    assert calls == ["train_function", "test_function"], (
        "this version of Keras does not call the functions that training/steps.py sets on a network (checked "
        "with Keras 3.15): look at train_function in keras/src/backend/tensorflow/trainer.py"
    )


def test_the_same_seed_gives_the_same_weights(trained: Any, other: Any, ensemble: Any) -> None:
    weights = [*trained[0].get_weights(), *other.get_weights()]
    pairs = zip(ensemble[0].get_weights(), weights, strict=True)
    assert all(np.array_equal(again, first) for again, first in pairs)


def test_another_seed_gives_other_weights(trained: Any, other: Any) -> None:
    assert not np.array_equal(other.get_weights()[0], trained[0].get_weights()[0])


def test_the_network_takes_plain_pixels_and_gives_probabilities(trained: Any, examples: Examples) -> None:
    answers = trained[0].predict(examples.inputs.astype(np.float32), verbose=0)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert "float32" in str(answers.dtype)


def test_a_resumed_training_starts_where_the_file_ends(
    small: Params, examples: Examples, trained: Any, file: Path
) -> None:
    first, history = trained
    resumed = prepare_network(make_task(small, examples, file))
    assert int(resumed.optimizer.iterations) == int(first.optimizer.iterations)
    for name in ("velocity", "momentum"):
        before = [v.numpy() for v in first.optimizer.variables if name in v.path]
        after = [v.numpy() for v in resumed.optimizer.variables if name in v.path]
        assert before
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    _, again = train(small, examples, file)
    assert again[0]["loss"] < history[0]["loss"]


def test_a_resumed_warm_up_begins_at_zero_and_the_cosine_ends_there(
    small: Params, examples: Examples, file: Path
) -> None:
    resumed = prepare_network(make_task(small, examples, file))
    schedule, steps = resumed.optimizer._learning_rate, 2 * -(-IMAGES // 16)
    peak = small.train.optimizer.learning_rate
    rates = [float(schedule(step)) for step in range(steps, 2 * steps + 1)]
    assert rates[0] == pytest.approx(0, abs=peak / 1000)
    assert max(rates) == pytest.approx(peak, rel=0.05)
    assert rates[-1] == pytest.approx(0, abs=peak / 1000)


def test_a_file_of_another_network_is_refused(
    values: dict[str, Any], small: Params, examples: Examples, file: Path
) -> None:
    values["model"] = {**LAYERS, "dense": [9]}
    with pytest.raises(ModelyardError, match=r"expected a network like model=small .*small\.keras has"):
        train(validate_params(values), examples, file)


def test_a_file_that_is_not_a_network_is_refused(small: Params, examples: Examples, tmp_path: Path) -> None:
    (tmp_path / "page.keras").write_text("<html>not found</html>")
    with pytest.raises(ModelyardError, match=r"page\.keras cannot be read"):
        train(small, examples, tmp_path / "page.keras")


def test_a_missing_file_says_that_dvc_may_have_removed_it(
    small: Params, examples: Examples, tmp_path: Path
) -> None:
    with pytest.raises(ModelyardError, match="DVC removes a stage's own output"):
        train(small, examples, tmp_path / "gone.keras")


def test_a_batch_larger_than_the_data_is_one_batch(
    values: dict[str, Any], small: Params, examples: Examples
) -> None:
    network, history = train(changed(values, batch_size=IMAGES + 1), examples)
    assert int(network.optimizer.iterations) == 2
    assert history[1]["loss"] < history[0]["loss"]
    assert history[0]["accuracy"] * IMAGES == pytest.approx(round(history[0]["accuracy"] * IMAGES), abs=1e-3)


def test_a_loss_that_is_not_finite_stops_the_training_and_names_the_step(
    small: Params, examples: Examples, file: Path, tmp_path: Path
) -> None:
    network = prepare_network(make_task(small, examples, file))
    network.set_weights([np.full_like(weight, np.nan) for weight in network.get_weights()])
    save_network(network, tmp_path / "bad.keras")
    with pytest.raises(ModelyardError, match="the loss is nan at step 5 of 10, in epoch 1"):
        train(small, examples, tmp_path / "bad.keras")


def test_a_failed_save_leaves_no_file(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder is expected")
    with pytest.raises(OSError, match="blocked"):
        save_network(trained[0], tmp_path / "blocked" / "model.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["blocked"]


def test_the_history_is_a_table_with_a_line_an_epoch(tmp_path: Path) -> None:
    write_history(tmp_path / "history.csv", [{"loss": 0.5}, {"loss": 0.25}])
    assert (tmp_path / "history.csv").read_text().split() == ["epoch,loss", "1,0.5", "2,0.25"]


def test_what_an_epoch_lacks_is_empty_in_the_history(tmp_path: Path) -> None:
    write_history(tmp_path / "history.csv", [{"loss": 0.5}, {"loss": 0.25, "accuracy": 1.0}])
    assert (tmp_path / "history.csv").read_text().split() == ["epoch,loss,accuracy", "1,0.5,", "2,0.25,1.0"]


def test_an_epoch_has_every_image_once_in_an_order_of_its_own(small: Params, examples: Examples) -> None:
    import tensorflow as tf

    epoch = tf.Variable(0, dtype=tf.int64)
    batches = training_batches(examples, small.train, epoch)

    def order() -> list[bytes]:
        return [picture.tobytes() for inputs, _ in batches for picture in inputs.numpy()]

    first = order()
    assert sorted(first) == sorted(picture.tobytes() for picture in examples.inputs)
    assert order() == first
    epoch.assign(1)
    second = order()
    assert second != first
    assert sorted(second) == sorted(first)


def test_labels_go_with_their_pictures(small: Params, examples: Examples) -> None:
    import tensorflow as tf

    pairs = zip(examples.inputs, examples.labels, strict=True)
    label_of = {picture.tobytes(): int(label) for picture, label in pairs}
    for inputs, labels in training_batches(examples, small.train, tf.Variable(3, dtype=tf.int64)):
        assert [label_of[picture.tobytes()] for picture in inputs.numpy()] == list(labels.numpy())


def test_averaged_weights_are_validated_and_kept(
    values: dict[str, Any], small: Params, examples: Examples, trained: Any
) -> None:
    network, history = train(changed(values, ema_momentum=0.9), examples)
    assert not equal_weights(network, trained[0])
    loss, accuracy = network.evaluate(examples.inputs, examples.labels, batch_size=1000, verbose=0)
    assert (loss, accuracy) == pytest.approx((history[-1]["val_loss"], history[-1]["val_accuracy"]), rel=1e-5)


@pytest.mark.parametrize("ema_momentum", [None, 0.9])
def test_it_stops_early_and_keeps_the_best_epoch(
    values: dict[str, Any], small: Params, examples: Examples, ema_momentum: float | None
) -> None:
    early = {"patience": 2, "min_improvement": 0.0}
    params = changed(values, epochs=60, early_stopping=early, ema_momentum=ema_momentum)
    network, history = train(params, examples)
    accuracies = [row["val_accuracy"] for row in history]
    assert len(history) == int(np.argmax(accuracies)) + 3 < 60
    _, accuracy = network.evaluate(examples.inputs, examples.labels, batch_size=1000, verbose=0)
    assert accuracy == pytest.approx(max(accuracies))


@pytest.mark.parametrize("photos", [24, 33])
def test_features_are_normalised_as_those_that_were_learned_from_however_few_these_are(
    photos: int, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.arange(photos, dtype=np.int64) % 2
    noise = np.random.default_rng(0).normal(0, 0.1, (photos, 64))
    features = np.float32(5 + noise + labels[:, None])
    params = validate_params(compose_values("model=features"))
    network, rows = train(params, Examples(features, labels, 2))
    normalising = network.layers[0]
    assert np.allclose(normalising.moving_mean, features.mean(axis=0), rtol=1e-5)
    assert np.allclose(normalising.moving_variance, features.var(axis=0), rtol=1e-3)
    assert rows[-1]["val_accuracy"] == 1
    assert "warning" not in capsys.readouterr().err


def test_a_network_of_pixels_that_takes_few_steps_is_warned_of(
    values: dict[str, Any], small: Params, examples: Examples, capsys: pytest.CaptureFixture[str]
) -> None:
    train(small, examples)
    expected = "warning: 10 steps of training in all: try model=features, or smaller batches and more epochs"
    assert expected in capsys.readouterr().err
    # As every fit begins.
    warn_of_few_steps(make_task(changed(values, ema_momentum=0.9), examples))
    expected = (
        "after 10 steps, 39% of the averaged weights are still those of the start: make it smaller, or null"
    )
    assert f"warning: train.ema_momentum=0.9: {expected}" in capsys.readouterr().err
    warn_of_few_steps(make_task(changed(values, epochs=20), examples))
    assert "warning" not in capsys.readouterr().err


def test_members_differ_and_answer_with_their_average(
    small: Params, examples: Examples, trained: Any, other: Any, ensemble: Any, tmp_path: Path
) -> None:
    joined, history = ensemble
    answers = [network.predict(examples.inputs, verbose=0) for network in (joined, trained[0], other)]
    np.testing.assert_allclose(answers[0], (answers[1] + answers[2]) / 2, atol=1e-6)
    assert [row["member"] for row in history] == [0, 0, 1, 1]
    save_network(joined, tmp_path / "joined.keras")
    with pytest.raises(ModelyardError, match="it is an ensemble"):
        train(small, examples, tmp_path / "joined.keras")


def test_the_network_is_of_keras_own_layers_and_answers_as_what_was_fitted(
    values: dict[str, Any], small: Params, examples: Examples, tmp_path: Path
) -> None:
    values["model"] = {**LAYERS, "batch_norm": True}
    network, history = train(changed(values, label_smoothing=0.1), examples)
    save_network(network, tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as file:
        assert b"modelyard" not in file.read("config.json")
    _, accuracy = network.evaluate(examples.inputs, examples.labels, batch_size=1000, verbose=0)
    assert accuracy == pytest.approx(history[-1]["val_accuracy"])


def test_no_loss_to_smoothed_labels_is_below_their_entropy(
    values: dict[str, Any], small: Params, examples: Examples, trained: Any
) -> None:
    _, history = train(changed(values, label_smoothing=0.9), examples)
    shares = np.array([0.19, *[0.09] * 9])
    entropy = -(shares * np.log(shares)).sum()
    assert history[-1]["val_loss"] > entropy > trained[1][-1]["val_loss"]


def test_filters_that_are_computed_stay_as_they_are(
    values: dict[str, Any], small: Params, examples: Examples
) -> None:
    values["model"] = {**LAYERS, "crop": 2, "first_filters": "whitening", "batch_norm": True}
    network, history = train(changed(values), examples)
    computed = whiten_patches(examples.inputs[:, 2:-2, 2:-2], 3, 2)
    np.testing.assert_array_equal(network.get_weights()[0], computed)
    assert history[1]["val_loss"] < history[0]["val_loss"]


def test_the_state_of_another_optimizer_is_refused(
    values: dict[str, Any], small: Params, examples: Examples, file: Path
) -> None:
    values["train"]["optimizer"]["name"] = "sgd"
    with pytest.raises(ModelyardError, match=r"optimizer: expected adam as in .*small\.keras, got sgd"):
        train(validate_params(values), examples, file)


def test_only_the_first_images_are_used_on_request(examples: Examples) -> None:
    assert len(examples.first(10)) == 10
    assert len(examples.first(None)) == IMAGES
    with pytest.raises(ModelyardError, match="expected at most the 67 there are, got 68"):
        examples.first(68)


def test_labels_out_of_range_are_refused_before_training(examples: Examples) -> None:
    with pytest.raises(ModelyardError, match=r"labels: expected 0\.\.9, got 10"):
        Examples(examples.inputs, np.full(IMAGES, 10, np.uint8), 10)
    with pytest.raises(ModelyardError, match="expected a label for each of 67, got 66"):
        Examples(examples.inputs, examples.labels[1:], 10)
