"""Real shifts that a report must see, and many draws without any, which must stay quiet."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from live_answers import NOON, Answered, blur, home_writers, invert, make_rows, make_table, other_writers
from modelyard.inference.input_figures import FIGURES
from modelyard.monitoring.findings import Finding, Verdict, ask, judge
from modelyard.monitoring.measured import Measured
from modelyard.monitoring.tallies import Tally, count_rows
from modelyard.params import Monitor, Params

RANDOM = np.random.default_rng(0)
REFERENCE = 2000
LIVE = 600


@pytest.fixture
def monitor(params: Params) -> Monitor:
    return params.monitor


def take_live() -> Answered:
    return home_writers().take(np.arange(REFERENCE, REFERENCE + LIVE))


def measure(before: Answered) -> Measured:
    accuracy = float((before.probabilities.argmax(axis=1) == before.labels).mean())
    return Measured(before.reference(), accuracy)


def look(live: Answered, monitor: Monitor, labelled: bool = True) -> dict[str, Finding]:
    """Return the findings of live answers beside the first 2,000 of the writers that the network knows."""
    before = home_writers().take(np.arange(REFERENCE))
    measured, tally = measure(before), Tally()
    truths = [str(label) if labelled else None for label in live.labels]
    table = make_table(make_rows(live))
    for _, _, counted in count_rows(table, truths, timedelta(hours=1), lambda _: measured.grids, 5):
        tally.add(counted, 5)
    findings = judge(list(ask(tally, measured, monitor)), monitor.false_alarms)
    return {finding.subject: finding for finding in findings}


def alarms(found: dict[str, Finding]) -> set[str]:
    return {subject for subject, finding in found.items() if finding.verdict is Verdict.ALARM}


def test_the_same_writers_raise_no_alarm(monitor: Monitor) -> None:
    found = look(take_live(), monitor)
    assert alarms(found) == set()
    assert {finding.verdict for finding in found.values()} == {Verdict.ALIKE}
    network, inputs = {"labels", "score", "unlikeness", "accuracy"}, set(FIGURES)
    assert set(found) == network | inputs


def without(label: int) -> Callable[[], Answered]:
    def take() -> Answered:
        live = take_live()
        return live.take(np.flatnonzero(live.labels != label))

    return take


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        (other_writers, {"score", "unlikeness", "accuracy", "labels"}),
        (lambda: blur(take_live()), {"edges", "score"}),
        (lambda: invert(take_live(), 0.3), {"mean", "ink", "accuracy"}),
        (without(7), {"labels"}),
    ],
    ids=["other writers", "blurred", "a share inverted", "a class vanishes"],
)
def test_a_shift_raises_an_alarm_where_it_shows(
    monitor: Monitor, shift: Callable[[], Answered], expected: set[str]
) -> None:
    assert expected <= alarms(look(shift(), monitor))


def test_a_shift_is_seen_without_a_single_label(monitor: Monitor) -> None:
    for shift in (other_writers(), blur(take_live()), invert(take_live(), 0.3), without(7)()):
        found = look(shift, monitor, labelled=False)
        assert alarms(found)
        assert found["accuracy"].verdict is Verdict.TOO_FEW


def test_a_class_that_vanishes_is_named(monitor: Monitor) -> None:
    finding = look(without(7)(), monitor)["labels"]
    assert finding.before.startswith("7: 1")
    assert finding.after.startswith("7: ")
    assert float(finding.after[3:-1]) < 3


def test_too_few_pictures_say_nothing(monitor: Monitor) -> None:
    few = other_writers().take(np.arange(monitor.min_images - 1))
    found = look(few, monitor, labelled=False)
    assert {finding.verdict for finding in found.values()} == {Verdict.TOO_FEW}
    assert {finding.corrected for finding in found.values()} == {None}


def draw_alarms(monitor: Monitor, draws: int) -> int:
    """Count the draws with an alarm: reference and live answers are drawn anew from the same writers."""
    known, count = home_writers(), 0
    for _ in range(draws):
        order = RANDOM.permutation(len(known.labels))
        before, live = known.take(order[:REFERENCE]), known.take(order[REFERENCE : REFERENCE + LIVE])
        measured = measure(before)
        tally = tally_of(live, measured)
        findings = judge(list(ask(tally, measured, monitor)), monitor.false_alarms)
        count += any(finding.verdict is Verdict.ALARM for finding in findings)
    return count


def tally_of(live: Answered, measured: Measured) -> Tally:
    """Count answers as `count_rows` does, without making rows of them first."""
    answers = live.probabilities.argmax(axis=1)
    columns = {"score": live.probabilities.max(axis=1)}
    columns |= dict(zip(("mean", "spread", "ink", "saturated", "edges"), live.figures.T, strict=True))
    tally = Tally(len(answers), len(answers), int((answers == live.labels).sum()))
    tally.labels.update(map(str, answers.tolist()))
    tally.cells = {name: measured.grids[name].count(values) for name, values in columns.items()}
    return tally


def test_of_200_draws_without_a_shift_at_most_one_in_twenty_raises_an_alarm(monitor: Monitor) -> None:
    # Without limits on the size of a change, the corrected p-values alone must keep the promise.
    limits = dict.fromkeys(("labels", "scores", "inputs", "accuracy_drop"), 0.0)
    strict = monitor.model_copy(update={"limits": monitor.limits.model_copy(update=limits)})
    assert draw_alarms(strict, 200) <= 10
    assert draw_alarms(monitor, 20) == 0


def test_without_correction_such_draws_would_raise_alarms(monitor: Monitor, monkeypatch: Any) -> None:
    limits = dict.fromkeys(("labels", "scores", "inputs", "accuracy_drop"), 0.0)
    careless = monitor.model_copy(
        update={"limits": monitor.limits.model_copy(update=limits), "false_alarms": 0.05}
    )
    monkeypatch.setattr("modelyard.monitoring.findings.correct", list)
    assert draw_alarms(careless, 60) > 6


def test_answers_are_counted_alike_in_one_table_and_in_parts(monitor: Monitor) -> None:
    live = take_live()
    measured = Measured(live.reference(), None)
    grids = measured.grids
    rows = make_rows(live)
    truths = ["7"] * len(rows)
    parts: dict[Any, Tally] = {}
    for chosen in (rows[:100], rows[100:]):
        for who, begins, tally in count_rows(
            make_table(chosen), truths[: len(chosen)], timedelta(hours=1), lambda _: grids, 3
        ):
            parts.setdefault((who, begins), Tally()).add(tally, 3)
    [((who, begins), total)] = parts.items()
    assert (who.version, who.role, begins, total.images) == ("1", "answer", NOON, LIVE)
    assert total.right == total.labels["7"]
    assert total.cells["edges"].tolist() == grids["edges"].count(live.figures[:, 4]).tolist()
    scores = np.sort(live.probabilities.max(axis=1))[:3]
    assert [one.score for one in total.unsure] == pytest.approx(scores.tolist())
