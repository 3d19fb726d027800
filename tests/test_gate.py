"""The gate: every rule is asked and told with its numbers, and what is not known fails."""

from datetime import UTC, datetime
from typing import Any

import pytest

from modelyard.errors import ModelyardError
from modelyard.evaluation.paired import PairedTest, sign_test
from modelyard.params import Gate
from modelyard.registry.decisions import RuleResult
from modelyard.registry.evidence import Evidence
from modelyard.registry.gate import Candidate, ask_gate

OPEN = Gate(
    min_accuracy=None,
    max_loss=None,
    max_calibration_error=None,
    min_same_first=None,
    max_difference=None,
    max_p50_ms=None,
    max_size_bytes=None,
    allow_dirty=True,
)
METRICS = {
    "test/accuracy": 0.98,
    "test/calibration_error": 0.01,
    "agreement/same_first": 1.0,
    "agreement/max_difference": 0.1,
    "latency/p50_ms": 0.5,
    "size_bytes": 1000.0,
}


def test_an_open_gate_asks_for_a_whole_bundle_alone() -> None:
    assert ask(OPEN) == (RuleResult("bundle", True, "artifacts that match their digest", "they do"),)


def test_a_bundle_that_is_not_whole_is_told() -> None:
    def missing() -> None:
        raise ModelyardError("labels.json is missing")

    (rule,) = ask_gate(OPEN, Candidate(evidence(), missing, None))
    assert (rule.rule, rule.passed, rule.found) == ("bundle", False, "labels.json is missing")


@pytest.mark.parametrize(
    ("rule", "holds", "fails", "wanted", "found"),
    [
        ("min_accuracy", 0.98, 0.9801, "test/accuracy of at least 98.00%", "98.00%"),
        ("max_calibration_error", 0.01, 0.009, "test/calibration_error of at most 0.0100", "0.0100"),
        ("min_same_first", 1.0, None, "agreement/same_first of at least 100.00%", "100.00%"),
        ("max_difference", 0.1, 0.09, "agreement/max_difference of at most 1.0e-01", "1.0e-01"),
        ("max_p50_ms", 0.5, 0.4, "latency/p50_ms of at most 0.50 ms", "0.50 ms"),
        ("max_size_bytes", 1000, 999, "size_bytes of at most 1,000 bytes", "1,000 bytes"),
    ],
)
def test_a_limit_is_held_against_its_metric(
    rule: str, holds: float, fails: float | None, wanted: str, found: str
) -> None:
    assert ask(OPEN.model_copy(update={rule: holds}))[1] == RuleResult(rule, True, wanted, found)
    if fails is not None:
        assert not ask(OPEN.model_copy(update={rule: fails}))[1].passed
    without = ask(OPEN.model_copy(update={rule: holds}), metrics={})[1]
    assert (without.passed, without.found) == (False, "no such metric")


@pytest.mark.parametrize(
    ("low", "majority", "passed"),
    [(0.31, 0.3, True), (0.3, 0.3, False), (0.2, 0.3, False), (None, 0.3, False)],
)
def test_more_than_the_most_common_class_is_asked_with_confidence(
    low: float | None, majority: float, passed: bool
) -> None:
    known = {"test/accuracy": 0.9, "test/accuracy_low": low, "test/majority": majority}
    metrics = {name: value for name, value in known.items() if value is not None}
    _, rule = ask(OPEN.model_copy(update={"min_accuracy": "majority"}), metrics=metrics)
    assert (rule.rule, rule.passed) == ("min_accuracy", passed)
    assert rule.found == (f"{low:.2%}, the most common class alone gives 30.00%" if low else "no such metric")


@pytest.mark.parametrize(
    ("dirty", "passed", "found"),
    [("false", True, "clean"), ("true", False, "uncommitted changes"), (None, False, "not known")],
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
    assert f"on {gained} images, wrong where it is right on {lost}" in rule.found


def test_what_is_significantly_better_need_not_be_so_by_a_margin() -> None:
    assert compared(0.0, PairedTest(400, 300, 10_000, sign_test(400, 300))).passed
    assert not compared(0.0, PairedTest(5, 5, 10_000, 1.0)).passed


def test_the_numbers_of_the_comparison_are_told() -> None:
    rule = compared(0.002, PairedTest(40, 10, 10_000, sign_test(40, 10)))
    assert rule.found == (
        "+0.30% (at least +0.16%): right where the champion is wrong on 40 images, wrong where it is "
        "right on 10, p = 2.4e-05"
    )


def test_without_a_champion_there_is_nothing_to_be_worse_than() -> None:
    rule = ask_gate(with_max_loss(0.0), Candidate(evidence(), lambda: None, None))[1]
    assert (rule.passed, rule.found) == (True, "no champion yet")


def test_what_cannot_be_compared_fails() -> None:
    def other_data() -> PairedTest:
        raise ModelyardError("expected two versions tested on the same images")

    rule = ask_gate(with_max_loss(1.0), Candidate(evidence(), lambda: None, other_data))[1]
    assert (rule.passed, rule.found) == (False, "expected two versions tested on the same images")


def ask(gate: Gate, **known: Any) -> tuple[RuleResult, ...]:
    return ask_gate(gate, Candidate(evidence(**known), lambda: None, None))


def compared(max_loss: float, test: PairedTest) -> RuleResult:
    return ask_gate(with_max_loss(max_loss), Candidate(evidence(), lambda: None, lambda: test))[1]


def with_max_loss(max_loss: float) -> Gate:
    return OPEN.model_copy(update={"max_loss": max_loss})


def evidence(**known: Any) -> Evidence:
    given = {"tags": {}, "metrics": METRICS, **known}
    return Evidence("mnist", 2, "r" * 32, (), params={}, created=datetime.now(UTC), **given)
