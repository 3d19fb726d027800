"""The gate: every rule is asked and told with its numbers, and what is not known fails."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures.paired import PairedTest, sign_test
from modelyard.params import Gate
from modelyard.registry.champions.beside import Beside
from modelyard.registry.champions.decisions import RuleResult
from modelyard.registry.champions.gate import ask_gate
from modelyard.registry.evidence import Evidence

OPEN = Gate(metrics={}, max_accuracy_drop=None, allow_dirty=True)
METRICS = {
    "test/accuracy": 0.98,
    "test/calibration_error": 0.01,
    "agreement/same_first": 1.0,
    "agreement/max_difference": 0.1,
    "latency/p50_ms": 0.5,
    "size_bytes": 2e6,
}


def test_an_open_gate_asks_for_a_whole_bundle_alone() -> None:
    assert ask(OPEN) == (
        RuleResult(
            "bundle",
            True,
            "artifacts that match their digest",
            "the artifacts match their digest, and the model answers",
        ),
    )


def test_a_bundle_that_is_not_whole_is_told() -> None:
    def missing() -> None:
        raise ModelyardError("labels.json is missing")

    (rule,) = ask_gate(OPEN, evidence(), missing, None)
    assert (rule.rule, rule.passed, rule.found) == ("bundle", False, "labels.json is missing")


@pytest.mark.parametrize(
    ("name", "side", "holds", "fails", "wanted", "found"),
    [
        ("test/accuracy", "min", 0.98, 0.9801, "at least 98.00%", "98.00%"),
        ("test/calibration_error", "max", 0.01, 0.009, "at most 0.0100", "0.0100"),
        ("agreement/same_first", "min", 1.0, 1.1, "at least 100.00%", "100.00%"),
        ("agreement/max_difference", "max", 0.1, 0.09, "at most 1.0e-01", "1.0e-01"),
        ("latency/p50_ms", "max", 0.5, 0.4, "at most 0.500 ms", "0.500 ms"),
        ("size_bytes", "max", 2e6, 1.9e6, "at most 2.00 MB", "2.00 MB"),
    ],
)
def test_a_limit_is_held_against_its_metric(
    name: str, side: str, holds: float, fails: float, wanted: str, found: str
) -> None:
    assert ask(limited(name, side, holds))[1] == RuleResult(name, True, wanted, found)
    assert not ask(limited(name, side, fails))[1].passed
    without = ask(limited(name, side, holds), metrics={})[1]
    assert (without.passed, without.found) == (False, "it was not measured")


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({"test/acuracy": {"min": 0.9}}, "expected one of test/accuracy, .*, got test/acuracy"),
        ({"test/majority": {"min": 0.9}}, "got test/majority"),
        ({"test/accuracy": {"max": 0.9}}, "expected {min: NUMBER}, as higher is better"),
        ({"size_bytes": {}}, "expected {max: NUMBER}, as lower is better"),
        ({"test/macro_f1": {"min": "majority"}}, "only test/accuracy has majority"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(metrics: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Gate(metrics=metrics, max_accuracy_drop=None, allow_dirty=True)


def test_a_limit_that_is_null_is_not_asked() -> None:
    assert len(ask(Gate(metrics={"size_bytes": None}, max_accuracy_drop=None, allow_dirty=True))) == 1


@pytest.mark.parametrize(
    ("low", "majority", "passed"),
    [(0.31, 0.3, True), (0.3, 0.3, False), (0.2, 0.3, False), (None, 0.3, False)],
)
def test_more_than_the_most_common_class_is_asked_with_confidence(
    low: float | None, majority: float, passed: bool
) -> None:
    known = {"test/accuracy": 0.9, "test/accuracy_low": low, "test/majority": majority}
    metrics = {name: value for name, value in known.items() if value is not None}
    _, rule = ask(limited("test/accuracy", "min", "majority"), metrics=metrics)
    assert (rule.rule, rule.passed) == ("test/accuracy", passed)
    told = (
        f"at least {low:.2%} with 95 % confidence; the most common class has a share of 30.00%"
        if low
        else None
    )
    assert rule.found == (told or "it was not measured")


@pytest.mark.parametrize(
    ("dirty", "passed", "found"),
    [
        ("false", True, "no uncommitted changes"),
        ("true", False, "uncommitted changes"),
        (None, False, "unknown"),
    ],
)
def test_the_tree_must_be_clean_unless_it_is_allowed(dirty: str | None, passed: bool, found: str) -> None:
    tags = {} if dirty is None else {"git.dirty": dirty}
    rule = ask(OPEN.model_copy(update={"allow_dirty": False}), tags=tags)[1]
    assert (rule.rule, rule.passed, rule.found) == ("clean_tree", passed, found)
    assert len(ask(OPEN, tags=tags)) == 1


@pytest.mark.parametrize(
    ("gained", "lost", "passed"),
    [
        (0, 0, True),
        (5, 5, True),
        (40, 10, True),
        # Worse by 0.1 %, and with 95 % confidence by no more than 0.3 %.
        (10, 20, False),
        (10, 40, False),
        # As good as the champion, but on so many other images that it may be worse by more.
        (200, 200, False),
    ],
)
def test_it_may_be_worse_than_the_champion_by_so_much_with_confidence(
    gained: int, lost: int, passed: bool
) -> None:
    rule = compared(0.002, PairedTest(gained, lost, 10_000, sign_test(gained, lost)))
    assert rule.passed == passed
    assert (
        f"right on {gained} images where the champion is wrong, wrong on {lost} where it is right"
        in rule.found
    )


def test_what_is_significantly_better_need_not_be_so_by_a_margin() -> None:
    assert compared(0.0, PairedTest(400, 300, 10_000, sign_test(400, 300))).passed
    assert not compared(0.0, PairedTest(5, 5, 10_000, 1.0)).passed


def test_the_numbers_of_the_comparison_are_told() -> None:
    rule = compared(0.002, PairedTest(40, 10, 10_000, sign_test(40, 10)))
    assert rule.found == (
        "accuracy +0.30% against the champion's, at worst +0.16% with 95 % confidence: right on 40 images "
        "where the champion is wrong, wrong on 10 where it is right, p = 2.4e-05"
    )


def test_without_a_champion_there_is_nothing_to_be_worse_than() -> None:
    rule = ask_gate(with_drop(0.0), evidence(), lambda: None, None)[1]
    assert (rule.passed, rule.found) == (True, "there is no champion yet")


def test_what_cannot_be_compared_fails() -> None:
    def other_data() -> PairedTest:
        raise ModelyardError("expected two versions tested on the same images")

    rule = ask_gate(with_drop(1.0), evidence(), lambda: None, beside(compare=other_data))[1]
    assert (rule.passed, rule.found) == (False, "expected two versions tested on the same images")


@pytest.mark.parametrize(
    ("ours", "theirs", "passed", "found"),
    [
        ((0.92, 15_000), (0.94, 15_000), True, "92.00% right, the champion 94.00%"),
        ((0.9199, 15_000), (0.94, 15_000), False, "91.99% right, the champion 94.00%"),
        ((0.99, 15_000), (0.94, 15_000), True, "99.00% right, the champion 94.00%"),
        (
            (0.1, 150),
            (0.94, 15_000),
            True,
            "not compared: it was asked about 150 corrupted pictures, the champion",
        ),
        (None, (0.94, 15_000), False, "it was not measured"),
        ((0.1, 15_000), None, True, "version 2, the champion, was not measured on corrupted pictures"),
        (None, None, True, "version 2, the champion, was not measured on corrupted pictures"),
    ],
)
def test_it_may_be_so_much_worse_than_the_champion_on_corrupted_pictures(
    ours: tuple[float, int] | None, theirs: tuple[float, int] | None, passed: bool, found: str
) -> None:
    gate = OPEN.model_copy(update={"max_robustness_drop": 0.02})
    versions = [evidence(metrics=robustness(*one) if one else {}) for one in (ours, theirs)]
    rule = ask_gate(gate, versions[0], lambda: None, beside(champion=versions[1]))[1]
    assert (rule.rule, rule.passed) == ("max_robustness_drop", passed)
    assert rule.found.startswith(found)


def test_without_a_champion_that_can_be_read_nothing_is_compared_on_corrupted_pictures() -> None:
    class Gone(SimpleNamespace):
        @property
        def champion(self) -> Evidence:
            raise ModelyardError("there is no version 1")

    gate, ours = OPEN.model_copy(update={"max_robustness_drop": 0.0}), evidence(metrics=robustness(0.9, 150))
    first = ask_gate(gate, ours, lambda: None, None)[1]
    assert (first.passed, first.found) == (True, "there is no champion yet")
    lost = ask_gate(gate, ours, lambda: None, cast(Beside, Gone(compare_recent=lambda: None)))[1]
    assert (lost.passed, lost.found) == (False, "there is no version 1")


def beside(**known: Any) -> Beside:
    """Stand in for a comparison with the champion, without recent pictures."""
    return cast(Beside, SimpleNamespace(compare_recent=lambda: None, **known))


def robustness(mean: float, answers: int) -> dict[str, float]:
    return {"robustness/mean_accuracy": mean, "robustness/answers": answers}


def ask(gate: Gate, **known: Any) -> tuple[RuleResult, ...]:
    return ask_gate(gate, evidence(**known), lambda: None, None)


def limited(name: str, side: str, bound: Any) -> Gate:
    return Gate.model_validate({**OPEN.model_dump(), "metrics": {name: {side: bound}}})


def compared(max_drop: float, test: PairedTest) -> RuleResult:
    return ask_gate(with_drop(max_drop), evidence(), lambda: None, beside(compare=lambda: test))[1]


def with_drop(max_drop: float) -> Gate:
    return OPEN.model_copy(update={"max_accuracy_drop": max_drop})


def evidence(**known: Any) -> Evidence:
    given = {"tags": {}, "metrics": METRICS, **known}
    return Evidence("mnist", 2, "r" * 32, (), params={}, created=datetime.now(UTC), **given)
