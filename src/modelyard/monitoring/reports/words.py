"""A report in words and numbers, for the terminal and for the page."""

import textwrap
from collections.abc import Iterator

from modelyard.evaluation.measures.intervals import Interval
from modelyard.evaluation.measures.paired import SIGNIFICANT
from modelyard.monitoring.findings import Finding, Verdict
from modelyard.monitoring.pairs import Pairs
from modelyard.monitoring.reports.report import Report, Section
from modelyard.registry.comparison.words import show_p_value

SUBJECTS = {
    "labels": "first answers",
    "score": "scores",
    "unlikeness": "unlikeness",
    "mean": "input: mean",
    "spread": "input: spread",
    "ink": "input: ink",
    "saturated": "input: saturated",
    "edges": "input: edges",
    "accuracy": "accuracy",
}
MOST_LABELS = 10


def draw_report(report: Report, columns: int) -> Iterator[str]:
    """Yield the lines for a terminal."""
    question = report.question
    yield f"{question.model}, {question.since:%Y-%m-%d %H:%M} to {question.until:%Y-%m-%d %H:%M} UTC"
    if not report.sections:
        yield "no answers were recorded"
    for section in report.sections:
        yield ""
        yield from _draw_section(section, columns)
    yield ""
    for line in (*report.skipped.describe(), give_verdict(report)):
        yield from textwrap.wrap(line, max(columns, 60))


def give_verdict(report: Report) -> str:
    """Say in a sentence what is beyond its limit."""
    if not report.asked:
        return "Nothing could be compared."
    corrected = f"p-values are corrected for {report.asked} questions"
    if not report.alarms:
        return f"No alarm: nothing is beyond its limit ({corrected})."
    told = []
    for section in report.sections:
        subjects = [
            SUBJECTS[finding.subject].replace(":", "") for of, finding in report.alarms if of is section
        ]
        told += [f"{', '.join(subjects)} of {section.name}"] if subjects else []
    return f"ALARM. Beyond their limits: {'; '.join(told)} ({corrected})."


def show_accuracy(found: tuple[float, Interval] | None) -> str:
    """Write an accuracy with its 95 % interval."""
    if found is None:
        return "unknown"
    value, (low, high) = found
    return f"{value:.2%} ({low:.2%} to {high:.2%})"


def show_effect(finding: Finding) -> str:
    """Write the size of a change with its measure."""
    if finding.effect is None:
        return ""
    size = f"{finding.effect:.2%}" if finding.measure == "drop" else f"{finding.effect:.3f}"
    return f"{finding.measure} {size}"


def show_limit(finding: Finding) -> str:
    """Write the limit of a change."""
    if finding.limit is None:
        return "none"
    return f"{finding.limit:.2%}" if finding.measure == "drop" else f"{finding.limit:g}"


def show_corrected(finding: Finding) -> str:
    """Write the corrected p-value."""
    return "" if finding.corrected is None else show_p_value(finding.corrected)


def show_shares(section: Section) -> str:
    """Write the shares of the most common first answers, each beside the test set's."""
    known = section.measured.reference if section.measured else None
    told = []
    for label, count in section.total.labels.most_common(MOST_LABELS):
        before = f" ({known.labels.get(label, 0) / known.images:.1%})" if known else ""
        told.append(f"{label} {count / section.total.images:.1%}{before}")
    more = len(section.total.labels) - len(told)
    return ", ".join(told) + (f", and {more:,} more" if more > 0 else "")


def compare_pair(shadow: str, answered: str, pairs: Pairs) -> str:
    """Say how often a shadow agrees, and whether it is right more often."""
    said = f"agrees with version {answered} on {pairs.agreement:.2%} of {pairs.images:,} images"
    if not pairs.labelled:
        return f"{said}; none of them has a label"
    said += (
        f"; of {pairs.labelled:,} with a label, version {shadow} alone is right on {pairs.only_shadow:,}, "
        f"version {answered} alone on {pairs.only_answer:,} (McNemar's exact test, "
        f"{show_p_value(pairs.p_value)}): "
    )
    if pairs.p_value >= SIGNIFICANT:
        return said + "the difference may be luck"
    better = pairs.only_shadow > pairs.only_answer
    return said + f"version {shadow} is significantly {'more' if better else 'less'} accurate"


def _draw_section(section: Section, columns: int) -> Iterator[str]:
    total = section.total
    yield f"{section.name}: {total.images:,} images, {total.labelled:,} of them labelled"
    before = f"{section.compared_with} {show_accuracy(section.test_accuracy)}"
    accuracy = f"accuracy {show_accuracy(section.accuracy)}, {before}"
    pairs = (compare_pair(section.answerer.version, other, found) for other, found in section.pairs.items())
    shares = f"first answers ({section.compared_with}): {show_shares(section)}" if total.images else ""
    for line in (section.note, accuracy, shares, *pairs):
        yield from textwrap.wrap(
            line, max(columns, 60), initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
        )
    yield from _draw_findings(section)
    if total.unsure:
        sure = ", ".join(f"{one.label} {one.score:.2f}" for one in total.unsure[:5])
        yield f"  least sure of: {sure}; --html FILE shows {len(total.unsure)}, --json has their digests"


def _draw_findings(section: Section) -> Iterator[str]:
    if section.findings:
        yield f"  {'':<17} {'change':<23} {'limit':<6} {'corrected':<13} {section.compared_with:<13} live"
    for finding in section.findings:
        mark = finding.verdict if finding.verdict is not Verdict.ALIKE else ""
        yield (
            f"  {SUBJECTS[finding.subject]:<17} {show_effect(finding):<23} {show_limit(finding):<6} "
            f"{show_corrected(finding):<13} {finding.before:<13} {finding.after:<13} {mark}"
        ).rstrip()
