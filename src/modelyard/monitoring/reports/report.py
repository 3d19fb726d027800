"""A report on what the versions of a model answered in a period, beside their evaluations."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures.intervals import Interval
from modelyard.evaluation.measures.shares import wilson_interval
from modelyard.monitoring.findings import Finding, Verdict, ask, judge
from modelyard.monitoring.labels.truths import Truths, read_truths
from modelyard.monitoring.measured import Measured, read_measured
from modelyard.monitoring.pairs import Pairs, pair_answers, slim_rows
from modelyard.monitoring.statistics import Grid
from modelyard.monitoring.tables.places import Place
from modelyard.monitoring.tables.reading import Skipped, Wanted, read_days
from modelyard.monitoring.tables.schema import ANSWERS, SHADOW
from modelyard.monitoring.tallies import COLUMNS, Answerer, Tally, count_rows
from modelyard.params import Monitor
from modelyard.registry.evidence import read_evidence
from modelyard.registry.versions import find_version
from modelyard.tracking.store import Store

if TYPE_CHECKING:
    import pyarrow

# A period up to this long is drawn by hours, a longer one by days.
BY_HOURS = timedelta(days=2)


@dataclass(frozen=True)
class Question:
    """What is asked: which model, which of its versions (None: all), from when to when, in UTC."""

    model: str
    version: str | None
    since: datetime
    until: datetime

    @property
    def step(self) -> timedelta:
        """The length of a point of the curves."""
        return timedelta(hours=1) if self.until - self.since <= BY_HOURS else timedelta(days=1)


@dataclass
class Section:
    """A version in one role.

    Attributes:
        measured: what it showed when it was evaluated; None if nothing is known, and `note` says why.
        total: all its answers of the period.
        steps: the same by hours or days.
        findings: what has changed.
        pairs: for a shadow, by the version that answered.
    """

    answerer: Answerer
    measured: Measured | None
    note: str
    total: Tally = field(default_factory=Tally)
    steps: dict[datetime, Tally] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    pairs: dict[str, Pairs] = field(default_factory=dict)

    @property
    def accuracy(self) -> tuple[float, Interval] | None:
        """The share of labelled pictures that it has right, with its 95 % interval; None without any."""
        if not self.total.labelled:
            return None
        interval = wilson_interval(self.total.right, self.total.labelled)
        return self.total.right / self.total.labelled, interval

    @property
    def test_accuracy(self) -> tuple[float, Interval] | None:
        """The same for its evaluation; None if that had no labels."""
        if self.measured is None or self.measured.right is None:
            return None
        right, images = self.measured.right, self.measured.reference.images
        return right / images, wilson_interval(right, images)

    @property
    def compared_with(self) -> str:
        """The pictures that live ones are compared with, in words."""
        return self.measured.of if self.measured else "test set"

    @property
    def name(self) -> str:
        """Its name for a person: `version 3`, or `version 4 (shadow)`."""
        return f"version {self.answerer.version}" + (" (shadow)" if self.answerer.role == SHADOW else "")


@dataclass(frozen=True)
class Report:
    """What all versions answered in the period."""

    question: Question
    sections: list[Section]
    skipped: Skipped

    @property
    def alarms(self) -> list[tuple[Section, Finding]]:
        """The findings that are beyond their limits."""
        return [
            (section, finding)
            for section in self.sections
            for finding in section.findings
            if finding.verdict is Verdict.ALARM
        ]

    @property
    def asked(self) -> int:
        """How many questions the p-values are corrected for."""
        return sum(finding.p_value is not None for section in self.sections for finding in section.findings)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        question = self.question
        return {
            "model": question.model,
            "since": question.since.isoformat(timespec="seconds"),
            "until": question.until.isoformat(timespec="seconds"),
            "alarms": len(self.alarms),
            "questions": self.asked,
            "versions": [_to_plain(section) for section in self.sections],
            "skipped": asdict(self.skipped),
        }


def make_report(store: Store, place: Place, question: Question, monitor: Monitor) -> Report:
    """Read the tables of a model, and compare each version with what it showed when it was evaluated.

    Raises ModelyardError if the place cannot be read.
    """
    skipped = Skipped()
    truths = read_truths(place, question.model, question.until, skipped)
    sections = _Sections(store, question, monitor)
    wanted = Wanted(ANSWERS, question.model, COLUMNS, question.since, question.until)
    for _, parts in read_days(place, wanted, skipped):
        sections.count_day(parts, truths)
    ordered = sorted(sections.known.values(), key=lambda section: _order(section.answerer))
    _judge_sections(ordered, monitor)
    return Report(question, ordered, skipped)


class _Sections:
    """The sections of a report, made as their versions are met."""

    def __init__(self, store: Store, question: Question, monitor: Monitor) -> None:
        self.known: dict[Answerer, Section] = {}
        self._store, self._question, self._least_sure = store, question, monitor.least_sure
        self._fewest = monitor.min_images
        self._measured: dict[str, tuple[Measured | None, str]] = {}

    def count_day(self, parts: Iterable["pyarrow.Table"], truths: Truths) -> None:
        """Count a day's rows; a shadow's are paired with the answers of the same day."""
        import pyarrow

        slim = []
        for rows in parts:
            labels = truths.label(rows)
            slim.append(slim_rows(rows, labels))
            step = self._question.step
            for found in count_rows(rows, labels, step, self._find_grids, self._least_sure):
                self._add(*found)
        if slim:
            for (shadow, other), pairs in pair_answers(pyarrow.concat_tables(slim)).items():
                if self._question.version in (None, shadow, other):
                    self._find(Answerer(shadow, SHADOW)).pairs.setdefault(other, Pairs()).add(pairs)

    def _add(self, answerer: Answerer, begins: datetime, tally: Tally) -> None:
        if self._question.version in (None, answerer.version):
            section = self._find(answerer)
            section.total.add(tally, self._least_sure)
            section.steps.setdefault(begins, Tally()).add(tally, 0)

    def _find(self, answerer: Answerer) -> Section:
        if answerer not in self.known:
            self.known[answerer] = Section(answerer, *self._find_measured(answerer.version))
        return self.known[answerer]

    def _find_grids(self, version: str) -> dict[str, Grid]:
        measured, _ = self._find_measured(version)
        return measured.grids if measured else {}

    def _find_measured(self, version: str) -> tuple[Measured | None, str]:
        """Return what a version showed when it was evaluated, and what is missing, in words."""
        if version not in self._measured:
            try:
                evidence = read_evidence(
                    self._store, find_version(self._store.client, self._question.model, version)
                )
                measured = read_measured(self._store, evidence, self._fewest)
                self._measured[version] = measured, measured.lacks
            except ModelyardError as error:
                self._measured[version] = None, f"it cannot be compared with its evaluation: {error}"
        return self._measured[version]


def _judge_sections(sections: list[Section], monitor: Monitor) -> None:
    """Ask all questions first: their number is what the p-values are corrected for."""
    raw = [
        list(ask(section.total, section.measured, monitor)) if section.measured else []
        for section in sections
    ]
    judged = iter(judge([finding for found in raw for finding in found], monitor.false_alarms))
    for section, found in zip(sections, raw, strict=True):
        section.findings = [next(judged) for _ in found]


def _order(answerer: Answerer) -> tuple[str, int, str]:
    """Sort versions that answer before shadows, each by number."""
    number = int(answerer.version) if answerer.version.isdecimal() else 0
    return answerer.role, number, answerer.version


def _to_plain(section: Section) -> dict[str, Any]:
    total = section.total
    return {
        "version": section.answerer.version,
        "role": section.answerer.role,
        "images": total.images,
        "labelled": total.labelled,
        "accuracy": _plain_accuracy(section.accuracy),
        "test_accuracy": _plain_accuracy(section.test_accuracy),
        "compared_with": section.compared_with,
        "note": section.note,
        "labels": dict(total.labels.most_common()),
        "findings": [{**asdict(finding), "verdict": str(finding.verdict)} for finding in section.findings],
        "shadow_of": {
            other: {**asdict(pairs), "agreement": pairs.agreement, "p_value": pairs.p_value}
            for other, pairs in section.pairs.items()
        },
        "least_sure": [{**asdict(one), "time": one.time.isoformat()} for one in total.unsure],
    }


def _plain_accuracy(found: tuple[float, Interval] | None) -> Mapping[str, float] | None:
    return None if found is None else {"value": found[0], "low": found[1][0], "high": found[1][1]}
