"""The gate before promotion: rules from conf/, each with its numbers; unknown values fail."""

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures.paired import SIGNIFICANT, PairedTest
from modelyard.evaluation.measures.shares import NORMAL_QUANTILE_975
from modelyard.failures import shorten
from modelyard.metrics import find_metric
from modelyard.params import Gate
from modelyard.params.published import MAJORITY
from modelyard.registry.champions.beside import Beside
from modelyard.registry.champions.decisions import RuleResult
from modelyard.registry.champions.robustness import judge_robustness
from modelyard.registry.evidence import Evidence

# A recorded decision has room for two such texts.
LONGEST_FOUND = 1000
# --force does not override this rule.
BUNDLE = "bundle"
NO_CHAMPION = (True, "there is no champion yet")
# Whether a rule passed, and what was found, in words.
Judgement: TypeAlias = tuple[bool, str]


def ask_gate(
    gate: Gate,
    evidence: Evidence,
    check: Callable[[], object],
    beside: Beside | None,
) -> tuple[RuleResult, ...]:
    """Check a version against all rules of the gate, even after one has failed.

    `check` raises a ModelyardError if its artifacts are missing or changed. `beside` compares it with the
    champion; None without one.
    """
    return (
        _check_bundle(check),
        *_check_limits(gate, evidence),
        *_check_drops(gate, evidence, beside),
        *(_check_recent(beside) if gate.recent_no_worse and beside else ()),
        *_check_tree(gate, evidence),
    )


def _check_bundle(check: Callable[[], object]) -> RuleResult:
    def judge() -> Judgement:
        check()
        return True, "the artifacts match their digest, and the model answers"

    return _hold(BUNDLE, "artifacts that match their digest", judge)


def _hold(rule: str, wanted: str, judge: Callable[[], Judgement]) -> RuleResult:
    """Return what `judge` finds out about a rule; if it cannot find out, the rule fails."""
    try:
        passed, found = judge()
    except ModelyardError as error:
        passed, found = False, shorten(str(error), LONGEST_FOUND)
    return RuleResult(rule, passed, wanted, found)


def _check_limits(gate: Gate, evidence: Evidence) -> Iterator[RuleResult]:
    for name, limit in gate.metrics.items():
        if limit is None:
            continue
        if limit.min == MAJORITY:
            yield _check_majority(name, evidence)
            continue
        metric, value = find_metric(name), evidence.metrics.get(name)
        higher = limit.min is not None
        bound = float(limit.min if higher else limit.max)  # type: ignore[arg-type]  # `Gate` has one of them
        wanted = f"at {'least' if higher else 'most'} {metric.show(bound)}"
        if value is None or not math.isfinite(value):
            yield RuleResult(name, False, wanted, "it was not measured")
        else:
            yield RuleResult(name, value >= bound if higher else value <= bound, wanted, metric.show(value))


def _check_majority(name: str, evidence: Evidence) -> RuleResult:
    """Require more than a model that always answers the most common class would reach."""
    wanted = "more than the share of the most common class, with 95 % confidence"
    low, majority = (evidence.metrics.get(f"test/{of}", math.nan) for of in ("accuracy_low", "majority"))
    if not (math.isfinite(low) and math.isfinite(majority)):
        return RuleResult(name, False, wanted, "it was not measured")
    found = f"at least {low:.2%} with 95 % confidence; the most common class has a share of {majority:.2%}"
    return RuleResult(name, low > majority, wanted, found)


def _check_drops(gate: Gate, evidence: Evidence, beside: Beside | None) -> Iterator[RuleResult]:
    if gate.max_accuracy_drop is not None:
        yield _check_champion(gate.max_accuracy_drop, beside)
    if gate.max_robustness_drop is not None:
        yield _check_robustness(gate.max_robustness_drop, evidence, beside)


def _check_tree(gate: Gate, evidence: Evidence) -> Iterator[RuleResult]:
    if not gate.allow_dirty:
        dirty = evidence.tags.get("git.dirty")
        found = {"false": "no uncommitted changes", "true": "uncommitted changes"}.get(dirty or "", "unknown")
        yield RuleResult("clean_tree", dirty == "false", "made from a commit, without other changes", found)


def _check_champion(max_drop: float, beside: Beside | None) -> RuleResult:
    wanted = (
        "significantly more accurate than the champion, or less accurate by at most "
        f"{max_drop:.2%} with 95 % confidence"
    )

    def judge() -> Judgement:
        if beside is None:
            return NO_CHAMPION
        test = beside.compare()
        difference, margin = _difference(test)
        better = test.p_value < SIGNIFICANT and test.only_first > test.only_second
        return better or difference - margin >= -max_drop, (
            f"accuracy {difference:+.2%} against the champion's, at worst {difference - margin:+.2%} with "
            f"95 % confidence: right on {test.only_first} images where the champion is wrong, wrong on "
            f"{test.only_second} where it is right, p = {test.p_value:.2g}"
        )

    return _hold("max_accuracy_drop", wanted, judge)


def _check_robustness(max_drop: float, evidence: Evidence, beside: Beside | None) -> RuleResult:
    wanted = f"accuracy on corrupted pictures at most {max_drop:.2%} below the champion's"

    def judge() -> Judgement:
        return NO_CHAMPION if beside is None else judge_robustness(max_drop, evidence, beside.champion)

    return _hold("max_robustness_drop", wanted, judge)


def _check_recent(beside: Beside) -> Iterator[RuleResult]:
    def judge() -> Judgement:
        test = beside.compare_recent()
        if test is None:
            return True, ""
        return test.only_first >= test.only_second, (
            f"of {test.images:,} recent pictures, right on {test.only_first} where the champion is wrong, "
            f"wrong on {test.only_second} where it is right, p = {test.p_value:.2g}"
        )

    rule = _hold("recent/accuracy", "right on as many recent pictures as the champion", judge)
    # A version that was evaluated on no recent pictures is not asked.
    if rule.found:
        yield rule


def _difference(test: PairedTest) -> tuple[float, float]:
    """Return the difference in accuracy of paired answers, and half the width of its 95 % interval.

    Source: Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, 3rd ed., section 13.1.
    """
    more, less = test.only_first, test.only_second
    variance = (more + less - (more - less) ** 2 / test.images) / test.images**2
    return (more - less) / test.images, NORMAL_QUANTILE_975 * math.sqrt(variance)
