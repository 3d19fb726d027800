"""Training: small networks on made digits, 67 of them, so that a dropped remainder would show."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.digits.dataset import Digits
from modelyard.errors import ModelyardError
from modelyard.params import Params, validate_params
from modelyard.training.fitting import (
    fit_network,
    prepare_network,
    save_network,
    seed_everything,
    write_history,
)

IMAGES = 67


@pytest.fixture
def small(values: dict[str, Any]) -> Params:
    """The shipped configuration with a network that trains in no time."""
    values["model"] = {"name": "small", "convolutions": [{"filters": 2, "kernel": 3}], "dense": [8]}
    values["train"] |= {"epochs": 2, "batch_size": 16}
    return validate_params(values)


@pytest.fixture(scope="module")
def digits() -> Digits:
    """Bars whose place is the label, so that there is something to learn."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, IMAGES).astype(np.uint8)
    images = generator.integers(0, 60, (IMAGES, 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label + 4 : 2 * label + 7] = 250
    return Digits(images, labels)


def train(
    params: Params, digits: Digits, resume_from: Path | None = None
) -> tuple[Any, list[dict[str, float]]]:
    seed_everything(params.train.seed)
    network = prepare_network(params.model, params.train, len(digits), resume_from)
    return network, fit_network(network, digits, digits, params.train, lambda _epoch, _row: None)


def test_training_lowers_the_loss_and_tells_every_epoch(small: Params, digits: Digits) -> None:
    seen: list[int] = []
    seed_everything(0)
    network = prepare_network(small.model, small.train, len(digits), None)
    history = fit_network(network, digits, digits, small.train, lambda epoch, _row: seen.append(epoch))
    assert seen == [0, 1]
    assert history[1]["val_loss"] < history[0]["loss"]
    assert set(history[0]) == {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}


def test_no_image_is_left_out_of_an_epoch(small: Params, digits: Digits) -> None:
    network, _ = train(small, digits)
    assert int(network.optimizer.iterations) == 2 * -(-IMAGES // 16)


def test_the_same_seed_gives_the_same_weights(small: Params, digits: Digits) -> None:
    first, second = train(small, digits)[0], train(small, digits)[0]
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def test_another_seed_gives_other_weights(values: dict[str, Any], small: Params, digits: Digits) -> None:
    values["train"]["seed"] = 1
    first, second = train(small, digits)[0], train(validate_params(values), digits)[0]
    assert not np.array_equal(first.get_weights()[0], second.get_weights()[0])


def test_the_network_takes_plain_pixels_and_gives_probabilities(small: Params, digits: Digits) -> None:
    network, _ = train(small, digits)
    answers = network.predict(digits.images[..., None].astype(np.float32), verbose=0)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert "float32" in str(answers.dtype)


def test_a_resumed_training_starts_where_the_file_ends(small: Params, digits: Digits, tmp_path: Path) -> None:
    first, history = train(small, digits)
    save_network(first, tmp_path / "first.keras")
    resumed = prepare_network(small.model, small.train, len(digits), tmp_path / "first.keras")
    assert int(resumed.optimizer.iterations) == int(first.optimizer.iterations)
    for name in ("velocity", "momentum"):
        before = [v.numpy() for v in first.optimizer.variables if name in v.path]
        after = [v.numpy() for v in resumed.optimizer.variables if name in v.path]
        assert before
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    again = fit_network(resumed, digits, digits, small.train, lambda _epoch, _row: None)
    assert again[0]["loss"] < history[0]["loss"]


def test_a_resumed_warm_up_begins_at_zero_and_the_cosine_ends_there(
    values: dict[str, Any], small: Params, digits: Digits, tmp_path: Path
) -> None:
    save_network(train(small, digits)[0], tmp_path / "first.keras")
    resumed = prepare_network(small.model, small.train, len(digits), tmp_path / "first.keras")
    schedule, steps = resumed.optimizer._learning_rate, 2 * -(-IMAGES // 16)
    peak = small.train.optimizer.learning_rate
    rates = [float(schedule(step)) for step in range(steps, 2 * steps + 1)]
    assert rates[0] == pytest.approx(0, abs=peak / 1000)
    assert max(rates) == pytest.approx(peak, rel=0.05)
    assert rates[-1] == pytest.approx(0, abs=peak / 1000)


def test_a_file_of_another_network_is_refused(
    values: dict[str, Any], small: Params, digits: Digits, tmp_path: Path
) -> None:
    save_network(train(small, digits)[0], tmp_path / "small.keras")
    values["model"]["dense"] = [9]
    with pytest.raises(ModelyardError, match=r"expected a network like model=small .*small\.keras has"):
        train(validate_params(values), digits, tmp_path / "small.keras")


def test_a_file_that_is_no_network_is_refused(small: Params, digits: Digits, tmp_path: Path) -> None:
    (tmp_path / "page.keras").write_text("<html>not found</html>")
    with pytest.raises(ModelyardError, match=r"page\.keras cannot be read"):
        train(small, digits, tmp_path / "page.keras")


def test_a_missing_file_says_that_dvc_may_have_removed_it(
    small: Params, digits: Digits, tmp_path: Path
) -> None:
    with pytest.raises(ModelyardError, match="DVC removes a stage's own output"):
        train(small, digits, tmp_path / "gone.keras")


def test_a_batch_larger_than_the_data_is_refused(
    values: dict[str, Any], small: Params, digits: Digits
) -> None:
    values["train"]["batch_size"] = IMAGES + 1
    with pytest.raises(ModelyardError, match="expected at most 67"):
        train(validate_params(values), digits)


def test_a_loss_that_is_no_number_stops_the_training(
    values: dict[str, Any], small: Params, digits: Digits
) -> None:
    values["train"]["optimizer"]["learning_rate"] = 10.0
    network = prepare_network(small.model, validate_params(values).train, len(digits), None)
    network.set_weights([np.full_like(weight, np.nan) for weight in network.get_weights()])
    with pytest.raises(ModelyardError, match="the loss is no number after epoch 1"):
        fit_network(network, digits, digits, small.train, lambda _epoch, _row: None)


def test_a_failed_save_leaves_no_file(small: Params, digits: Digits, tmp_path: Path) -> None:
    network, _ = train(small, digits)
    (tmp_path / "blocked").write_text("a file where a folder is expected")
    with pytest.raises(OSError, match="blocked"):
        save_network(network, tmp_path / "blocked" / "model.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["blocked"]


def test_the_history_is_a_table_with_a_line_an_epoch(tmp_path: Path) -> None:
    write_history(tmp_path / "history.csv", [{"loss": 0.5}, {"loss": 0.25}])
    assert (tmp_path / "history.csv").read_text().split() == ["epoch,loss", "1,0.5", "2,0.25"]
