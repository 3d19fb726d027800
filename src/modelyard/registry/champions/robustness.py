"""The rule of the gate on corrupted pictures: not much worse on them than the champion."""

from collections.abc import Callable

from modelyard.errors import ModelyardError
from modelyard.failures import shorten
from modelyard.metrics import find_metric
from modelyard.registry.champions.decisions import RuleResult
from modelyard.registry.evidence import Evidence

RULE, MEAN, ANSWERS = "max_robustness_drop", "robustness/mean_accuracy", "robustness/answers"
LONGEST_FOUND = 1000


def check_robustness(
    max_drop: float, evidence: Evidence, read_champion: Callable[[], Evidence] | None
) -> RuleResult:
    """Compare the mean accuracy of the kinds, which is of thousands of answers to the same pictures.

    A champion without that number, from before it was measured, is not held against a version.
    """
    wanted = f"as often right on corrupted pictures as the champion, or less often by at most {max_drop:.2%}"
    if read_champion is None:
        return RuleResult(RULE, True, wanted, "there is no champion yet")
    try:
        champion = read_champion()
    except ModelyardError as error:
        return RuleResult(RULE, False, wanted, shorten(str(error), LONGEST_FOUND))
    passed, found = _judge(max_drop, evidence, champion)
    return RuleResult(RULE, passed, wanted, found)


def _judge(max_drop: float, evidence: Evidence, champion: Evidence) -> tuple[bool, str]:
    ours, theirs = (one.metrics.get(MEAN) for one in (evidence, champion))
    if theirs is None:
        return True, f"version {champion.version}, the champion, was not measured on corrupted pictures"
    if ours is None:
        return False, "it was not measured"
    asked, asked_then = (int(one.metrics.get(ANSWERS, 0)) for one in (evidence, champion))
    if asked != asked_then:
        return (
            True,
            f"not compared: it was asked for {asked:,} corrupted pictures, the champion for {asked_then:,}",
        )
    found = f"{find_metric(MEAN).show(ours)} right, the champion {find_metric(MEAN).show(theirs)}"
    return ours >= theirs - max_drop, found
