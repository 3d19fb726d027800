"""What an experiment chose other than conf/: found, named, and kept as long as conf/ says what it said."""

from typing import Any

import pytest

from modelyard.stages.experiments import compare_values, follow_conf, name_choices

CONF: dict[str, Any] = {
    "train": {"epochs": 2, "seed": 0, "schedule": {"name": "cosine", "warmup": 0.1}},
    "model": {"name": "cnn", "dense": [128]},
    "files": {"graph.pb": {"sha256": "aa"}},
}
CHOSEN: dict[str, Any] = {
    "train": {"epochs": 3, "seed": 0, "schedule": {"name": "constant"}},
    "model": {"name": "mlp", "dense": [128, 10], "extra": {}},
    "files": {"graph.pb": {"sha256": "bb"}},
}


def apply(here: dict[str, Any], conf: dict[str, Any] = CONF) -> dict[str, Any]:
    """What params.yaml holds after an experiment."""
    return {**here, "experiment": compare_values(conf, here)}


def test_every_value_that_differs_is_found_with_both_sides() -> None:
    assert compare_values(CONF, CHOSEN) == {
        "train.epochs": {"conf": 2, "here": 3},
        "train.schedule.name": {"conf": "cosine", "here": "constant"},
        "train.schedule.warmup": {"conf": 0.1},
        "model.name": {"conf": "cnn", "here": "mlp"},
        "model.dense": {"conf": [128], "here": [128, 10]},
        "model.extra": {"here": {}},
        "files.graph.pb.sha256": {"conf": "aa", "here": "bb"},
    }


def test_what_is_equal_does_not_differ_and_the_record_is_no_value() -> None:
    assert compare_values(CONF, {**CONF, "experiment": {"train.epochs": {"conf": 1, "here": 2}}}) == {}


@pytest.mark.parametrize(
    ("conf", "here"),
    [
        ({"a": None}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": None}),
        ({"a": {}}, {"a": {"b": 1}}),
        ({"a": {"b": {"c": 1}, "d": 2}}, {"a": {"d": 3}}),
        (CONF, CHOSEN),
    ],
)
def test_an_experiment_is_kept_whatever_shape_its_values_have(
    conf: dict[str, Any], here: dict[str, Any]
) -> None:
    before = apply(here, conf)
    kept, lines = follow_conf(conf, before)
    assert kept == before
    assert len(lines) == len(before["experiment"])


def test_values_that_the_experiment_did_not_choose_follow_conf() -> None:
    conf = {**CONF, "train": {**CONF["train"], "seed": 9}}
    kept, lines = follow_conf(conf, apply(CHOSEN))
    assert (kept["train"]["seed"], kept["train"]["epochs"]) == (9, 3)
    assert lines[0] == "kept from the applied experiment: train.epochs=3 (conf/ says 2)"
    assert "kept from the applied experiment: train.schedule.warmup=nothing (conf/ says 0.1)" in lines


def test_a_changed_value_ends_the_whole_experiment() -> None:
    conf = {**CONF, "train": {**CONF["train"], "epochs": 5}}
    values, lines = follow_conf(conf, apply(CHOSEN))
    assert values == {**conf, "experiment": {}}
    assert lines[0] == "conf/ has changed train.epochs from 2 to 5: the applied experiment ends"
    assert "given up from the applied experiment: model.name='mlp' (conf/ says 'cnn')" in lines


def test_nothing_is_given_up_where_conf_says_now_what_the_experiment_chose() -> None:
    assert follow_conf(CHOSEN, apply(CHOSEN)) == ({**CHOSEN, "experiment": {}}, [])


def test_without_an_experiment_conf_decides_alone() -> None:
    assert follow_conf(CONF, CHOSEN) == ({**CONF, "experiment": {}}, [])


def test_of_many_values_ten_are_named_and_long_ones_are_cut() -> None:
    record = {f"key{number}": {"conf": 0, "here": "x" * 100} for number in range(12)}
    *lines, last = name_choices(record)
    assert (len(lines), last) == (10, "and 2 more")
    assert max(map(len, lines)) < 100
