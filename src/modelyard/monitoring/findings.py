"""What has changed since the evaluation, how much, and whether that may be chance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from modelyard.evaluation.reference import SCORE, UNLIKENESS, Reference
from modelyard.monitoring.measured import Measured
from modelyard.monitoring.statistics import (
    Grid,
    compare_counts,
    compare_shares,
    correct,
    judge_distance,
    merge_rare,
    stability_index,
)
from modelyard.monitoring.tallies import Tally
from modelyard.params import Monitor

LABELS, ACCURACY = "labels", "accuracy"


class Verdict(StrEnum):
    """The answer to a question, in short."""

    TOO_FEW = "too few"
    ALIKE = "alike"
    CHANGED = "changed, within the limit"
    ALARM = "ALARM"


@dataclass(frozen=True)
class Finding:
    """A question, and its answer.

    Attributes:
        subject: `labels`, `score`, `unlikeness`, a figure of the inputs, or `accuracy`.
        measure: what `effect` is, in words.
        effect: the size of the change; None if there are too few.
        p_value: how likely so large a change is by chance, 0..1; None if there are too few.
        corrected: the p-value after Holm's correction for all questions of the report.
        limit: the largest effect that raises no alarm; with None nothing does.
        before: what the reference shows, in words.
        after: what the live answers show, in words.
    """

    subject: str
    measure: str
    limit: float | None
    effect: float | None = None
    p_value: float | None = None
    corrected: float | None = None
    before: str = ""
    after: str = ""
    verdict: Verdict = Verdict.TOO_FEW


def ask(tally: Tally, measured: Measured, monitor: Monitor) -> Iterator[Finding]:
    """Yield a finding for each question that can be asked of a version, not corrected yet."""
    enough = min(tally.images, measured.reference.images) >= monitor.min_images
    yield _ask_labels(tally, measured.reference, monitor, enough)
    for name, grid in measured.grids.items():
        yield _ask_values(name, tally, grid, monitor, enough)
    if measured.right is not None:
        yield _ask_accuracy(tally, measured.right, measured.reference.images, monitor)


def judge(findings: Sequence[Finding], false_alarms: float) -> list[Finding]:
    """Correct the p-values of all findings of a report for their number, and say what each means."""
    asked = [finding for finding in findings if finding.p_value is not None]
    corrected = iter(correct([finding.p_value for finding in asked if finding.p_value is not None]))
    return [
        one if one.p_value is None else _decide(replace(one, corrected=next(corrected)), false_alarms)
        for one in findings
    ]


def _decide(finding: Finding, false_alarms: float) -> Finding:
    if finding.corrected is None or finding.effect is None:
        return finding
    if finding.corrected >= false_alarms:
        return replace(finding, verdict=Verdict.ALIKE)
    beyond = finding.limit is not None and finding.effect > finding.limit
    return replace(finding, verdict=Verdict.ALARM if beyond else Verdict.CHANGED)


def _ask_labels(tally: Tally, reference: Reference, monitor: Monitor, enough: bool) -> Finding:
    finding = Finding(LABELS, "stability index", monitor.limits.labels)
    if not enough:
        return finding
    names = [*reference.labels, *sorted(set(tally.labels) - set(reference.labels))]
    counted = (reference.labels, tally.labels)
    before, after = (np.array([counts.get(name, 0) for name in names]) for counts in counted)
    shares = [counts / counts.sum() for counts in (before, after)]
    most = int(abs(shares[1] - shares[0]).argmax())
    told = [f"{names[most]}: {share[most]:.1%}" for share in shares]
    merged = merge_rare(before, after)
    return replace(
        finding,
        effect=stability_index(*merged),
        p_value=compare_counts(*merged),
        before=told[0],
        after=told[1],
    )


def _ask_values(name: str, tally: Tally, grid: Grid, monitor: Monitor, enough: bool) -> Finding:
    limit = monitor.limits.scores if name in (SCORE, UNLIKENESS) else monitor.limits.inputs
    finding = Finding(name, "distance", limit)
    counts = tally.cells.get(name)
    mean = tally.mean(name)
    if not enough or counts is None or mean is None or counts.sum() < monitor.min_images:
        return finding
    distance = grid.measure_distance(counts)
    return replace(
        finding,
        effect=distance,
        p_value=judge_distance(distance, grid.size, int(counts.sum())),
        before=f"mean {grid.mean:.3f}",
        after=f"mean {mean:.3f}",
    )


def _ask_accuracy(tally: Tally, right: int, images: int, monitor: Monitor) -> Finding:
    finding = Finding(ACCURACY, "drop", monitor.limits.accuracy_drop)
    if min(tally.labelled, images) < monitor.min_labels:
        return finding
    before, after = right / images, tally.right / tally.labelled
    return replace(
        finding,
        effect=before - after,
        p_value=compare_shares((right, images), (tally.right, tally.labelled)),
        before=f"{before:.2%}",
        after=f"{after:.2%}",
    )
