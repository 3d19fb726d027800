"""The gate before promotion: rules from conf/, each with its numbers; what is not known fails."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures import NORMAL_QUANTILE_975
from modelyard.evaluation.paired import PairedTest
from modelyard.failures import shorten
from modelyard.params import Gate
from modelyard.registry.decisions import RuleResult
from modelyard.registry.evidence import Evidence

SIGNIFICANT = 0.05
# What is on record of a decision has room for two such.
LONGEST_FOUND = 1000
# The rule that no force overrides.
BUNDLE = "bundle"


@dataclass(frozen=True)
class Candidate:
    """A version that is to become champion.

    Attributes:
        evidence: what is known of it.
        check_bundle: raises a ModelyardError where its artifacts are missing or changed.
        compare: sets its answers against the champion's, image by image, the candidate first; raises a
            ModelyardError where that cannot be done. None where there is no champion.
    """

    evidence: Evidence
    check_bundle: Callable[[], object]
    compare: Callable[[], PairedTest] | None


def ask_gate(gate: Gate, candidate: Candidate) -> tuple[RuleResult, ...]:
    """Ask every rule that the gate has, also after one has failed."""
    return (
        _check_bundle(candidate),
        *_check_limits(gate, candidate.evidence),
        *_check_others(gate, candidate),
    )


def _check_bundle(candidate: Candidate) -> RuleResult:
    wanted = "artifacts that match their digest"
    try:
        candidate.check_bundle()
    except ModelyardError as error:
        return RuleResult(BUNDLE, False, wanted, shorten(str(error), LONGEST_FOUND))
    return RuleResult(BUNDLE, True, wanted, "they do")


def _check_limits(gate: Gate, evidence: Evidence) -> Iterator[RuleResult]:
    """Set each limit against the metric of its name."""
    if gate.min_accuracy == "majority":
        yield _check_majority(evidence)
    for rule, metric, shown in (
        ("min_accuracy", "test/accuracy", "{:.2%}"),
        ("max_calibration_error", "test/calibration_error", "{:.4f}"),
        ("min_same_first", "agreement/same_first", "{:.2%}"),
        ("max_difference", "agreement/max_difference", "{:.1e}"),
        ("max_p50_ms", "latency/p50_ms", "{:.2f} ms"),
        ("max_size_bytes", "size_bytes", "{:,.0f} bytes"),
    ):
        limit = getattr(gate, rule)
        if limit is None or limit == "majority":
            continue
        least = rule.startswith("min_")
        wanted = f"{metric} of at {'least' if least else 'most'} {shown.format(limit)}"
        value = evidence.metrics.get(metric)
        if value is None or not math.isfinite(value):
            yield RuleResult(rule, False, wanted, "no such metric")
        else:
            yield RuleResult(rule, value >= limit if least else value <= limit, wanted, shown.format(value))


def _check_majority(evidence: Evidence) -> RuleResult:
    """Ask for more than an answer without looking gives: always the most common class."""
    wanted = "test/accuracy_low above test/majority, the share of the most common class"
    low, majority = (evidence.metrics.get(f"test/{name}", math.nan) for name in ("accuracy_low", "majority"))
    known = math.isfinite(low) and math.isfinite(majority)
    found = f"{low:.2%}, the most common class alone gives {majority:.2%}" if known else "no such metric"
    return RuleResult("min_accuracy", known and low > majority, wanted, found)


def _check_others(gate: Gate, candidate: Candidate) -> Iterator[RuleResult]:
    if gate.max_loss is not None:
        yield _check_champion(gate.max_loss, candidate)
    if not gate.allow_dirty:
        dirty = candidate.evidence.tags.get("git.dirty")
        found = {"false": "clean", "true": "uncommitted changes"}.get(dirty or "", "not known")
        yield RuleResult("clean_tree", dirty == "false", "made from a commit, without changes to it", found)


def _check_champion(max_loss: float, candidate: Candidate) -> RuleResult:
    wanted = f"significantly better than the champion, or worse by at most {max_loss:.2%} (95 % confidence)"
    if candidate.compare is None:
        return RuleResult("max_loss", True, wanted, "no champion yet")
    try:
        test = candidate.compare()
    except ModelyardError as error:
        return RuleResult("max_loss", False, wanted, shorten(str(error), LONGEST_FOUND))
    difference, margin = _difference(test)
    better = test.p_value < SIGNIFICANT and test.only_first > test.only_second
    found = (
        f"{difference:+.2%} (at least {difference - margin:+.2%}): right where the champion is wrong on "
        f"{test.only_first} images, wrong where it is right on {test.only_second}, p = {test.p_value:.2g}"
    )
    return RuleResult("max_loss", better or difference - margin >= -max_loss, wanted, found)


def _difference(test: PairedTest) -> tuple[float, float]:
    """The difference in accuracy of paired answers, and half the width of its 95 % interval.

    Source: Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, 3rd ed., section 13.1.
    """
    more, less = test.only_first, test.only_second
    variance = (more + less - (more - less) ** 2 / test.images) / test.images**2
    return (more - less) / test.images, NORMAL_QUANTILE_975 * math.sqrt(variance)
