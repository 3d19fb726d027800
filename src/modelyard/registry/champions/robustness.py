"""The rule of the gate on corrupted pictures: not much worse on them than the champion."""

from modelyard.metrics import find_metric
from modelyard.registry.evidence import Evidence

MEAN, ANSWERS = "robustness/mean_accuracy", "robustness/answers"


def judge_robustness(max_drop: float, evidence: Evidence, champion: Evidence) -> tuple[bool, str]:
    """Compare the mean accuracy of the kinds; return whether the version passes, and what was found.

    An old champion, for which this was not measured, does not count against a version.
    """
    ours, theirs = (one.metrics.get(MEAN) for one in (evidence, champion))
    if theirs is None:
        return True, f"version {champion.version}, the champion, was not measured on corrupted pictures"
    if ours is None:
        return False, "it was not measured"
    asked, asked_then = (int(one.metrics.get(ANSWERS, 0)) for one in (evidence, champion))
    if asked != asked_then:
        return (
            True,
            f"not compared: it was asked about {asked:,} corrupted pictures, the champion {asked_then:,}",
        )
    found = f"{find_metric(MEAN).show(ours)} right, the champion {find_metric(MEAN).show(theirs)}"
    return ours >= theirs - max_drop, found
