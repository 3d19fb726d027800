"""Two versions side by side: which is better, whether that may be luck, and what was done differently."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures.classification import Integers, confusion_matrix
from modelyard.evaluation.measures.intervals import Interval, measure_intervals
from modelyard.evaluation.measures.paired import SIGNIFICANT, PairedTest, mcnemar
from modelyard.evaluation.reports import Predictions
from modelyard.metrics import find_metric, importance, is_comparable
from modelyard.registry.evidence import Evidence, add_classes
from modelyard.registry.kept_files import read_kept_predictions
from modelyard.tracking.store import Store

Side: TypeAlias = Literal["first", "second"]
Kept: TypeAlias = tuple[Predictions, tuple[str, ...]]

DATA = ("data.digest", "source", "licence", "stand_in_for", "evaluation.dataset", "evaluation.digest")
# Parameters of older runs that nobody chose.
RECORDS = "modelyard."
CODE = ("git.commit", "git.dirty")


@dataclass(frozen=True)
class Measure:
    """A metric of both versions, None if one lacks it, with 95 % intervals."""

    name: str
    first: float | None
    second: float | None
    first_interval: Interval | None
    second_interval: Interval | None
    better: Side | None  # None if the numbers are equal, or neither direction is better


@dataclass(frozen=True)
class Setting:
    """A parameter, a digest, a commit or a library of both versions, None if one lacks it."""

    name: str
    first: str | None
    second: str | None


@dataclass(frozen=True)
class Disagreement:
    """An image that the two versions answer differently, and its place among the images."""

    index: int
    name: str
    label: str
    first: str
    second: str
    first_score: float
    second_score: float

    @property
    def answers(self) -> tuple[tuple[str, float], tuple[str, float]]:
        """Both answers, each with its score."""
        return (self.first, self.first_score), (self.second, self.second_score)

    @property
    def right(self) -> Side | None:
        """Which version is right; None if neither is."""
        if self.first == self.label:
            return "first"
        return "second" if self.second == self.label else None


@dataclass(frozen=True)
class SameImages:
    """What both versions answered to the same images."""

    images: int  # how many
    classes: tuple[str, ...]  # their names, in order
    test: PairedTest  # McNemar's
    first_confusion: Integers  # (classes, classes), counts; rows are labels
    second_confusion: Integers
    disagreements: tuple[Disagreement, ...]  # all of them, in the order of the images

    @property
    def significant(self) -> bool:
        """Whether so uneven a split is improbable, if both were right equally often."""
        return self.test.p_value < SIGNIFICANT


@dataclass(frozen=True)
class Comparison:
    """Two versions of a model, side by side."""

    first: Evidence
    second: Evidence
    measures: tuple[Measure, ...]  # all their metrics, the most important first
    params: tuple[Setting, ...]  # the parameters that differ; `data` and `libraries` likewise
    data: tuple[Setting, ...]
    libraries: tuple[Setting, ...]
    code: tuple[Setting, ...]  # the commits and whether the trees were dirty, also if they are the same
    same_images: SameImages | None  # None for models that were measured without labels

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        same = self.same_images
        return {
            "name": self.first.name,
            **asdict(replace(self, same_images=None)),
            "first": _describe(self.first),
            "second": _describe(self.second),
            "same_images": same
            and {
                "images": same.images,
                "classes": list(same.classes),
                **asdict(same.test),
                "significant": same.significant,
                "first_confusion": same.first_confusion.tolist(),
                "second_confusion": same.second_confusion.tolist(),
                "disagreements": [asdict(one) for one in same.disagreements],
            },
        }


def compare(store: Store, first: Evidence, second: Evidence) -> Comparison:
    """Compare two versions; predictions are fetched, nothing is written.

    Versions that were tested on labelled images are compared only with their predictions of the same data:
    without them, luck and skill look the same. Models measured without labels are compared by other metrics.
    Raises ModelyardError if a version lacks its measurements or its predictions, or the data differ.
    """
    _check_comparable(first, second)
    kept = None
    if any("test/accuracy" in one.metrics for one in (first, second)):
        kept = read_kept_predictions(store, first), read_kept_predictions(store, second)
        first, second = add_classes(first, *kept[0]), add_classes(second, *kept[1])
    return Comparison(
        first,
        second,
        _line_up_measures(first, second, kept),
        _line_up(_params(first), _params(second)),
        _line_up(first.tags, second.tags, DATA),
        _line_up(_libraries(first), _libraries(second)),
        tuple(Setting(name, first.tags.get(name), second.tags.get(name)) for name in CODE),
        kept and _look_at_images(*kept),
    )


def _check_comparable(first: Evidence, second: Evidence) -> None:
    for one in (first, second):
        measured = any(name.startswith(("test/", "agreement/")) for name in one.metrics)
        if not one.dataset_digest or not measured:
            raise ModelyardError(
                f"{one.uri}: expected a version that was evaluated before it was registered, but it has no "
                "measurements: publish its bundle with `make repro`"
            )
    if first.dataset_digest != second.dataset_digest:
        raise ModelyardError(
            f"expected two versions measured on the same data, {first.uri} was on {first.dataset} "
            f"{first.dataset_digest[:12]}, {second.uri} on {second.dataset} {second.dataset_digest[:12]}: "
            "evaluate both on the same data and register them again"
        )


def _line_up_measures(
    first: Evidence, second: Evidence, kept: tuple[Kept, Kept] | None
) -> tuple[Measure, ...]:
    intervals = [measure_intervals(*one) for one in kept] if kept else [{}, {}]
    measures = []
    for name in sorted(filter(is_comparable, {*first.metrics, *second.metrics}), key=importance):
        values = first.metrics.get(name), second.metrics.get(name)
        bounds = intervals[0].get(name), intervals[1].get(name)
        better = _better(name, *values) if _is_fair(name, first, second) else None
        measures.append(Measure(name, *values, *bounds, better))
    return tuple(measures)


def _is_fair(name: str, first: Evidence, second: Evidence) -> bool:
    """Compare numbers on corrupted pictures only if both versions were asked about equally many."""
    asked = (one.metrics.get("robustness/answers") for one in (first, second))
    return not name.startswith("robustness/") or len(set(asked)) == 1


def _better(name: str, first: float | None, second: float | None) -> Side | None:
    better = find_metric(name).better
    if better is None or first is None or second is None or first == second:
        return None
    return "first" if (first > second) == (better == "higher") else "second"


def _line_up(
    first: Mapping[str, str], second: Mapping[str, str], names: Iterable[str] | None = None
) -> tuple[Setting, ...]:
    """Return what differs among the names, by default all, sorted."""
    chosen = sorted(names or {*first, *second})
    settings = (Setting(name, first.get(name), second.get(name)) for name in chosen)
    return tuple(one for one in settings if one.first != one.second)


def _params(evidence: Evidence) -> dict[str, str]:
    """Return a run's parameters and how the version was packaged, which a run packaged twice cannot say."""
    packaged = {"package.precision": evidence.tags["precision"]} if "precision" in evidence.tags else {}
    chosen = {name: value for name, value in evidence.params.items() if not name.startswith(RECORDS)}
    return {**chosen, **packaged}


def _libraries(evidence: Evidence) -> dict[str, str]:
    listed = filter(None, evidence.tags.get("libraries", "").split(", "))
    return {name: version for name, _, version in (entry.rpartition(" ") for entry in listed)}


def _look_at_images(first: Kept, second: Kept) -> SameImages:
    (ours, classes), (theirs, other_classes) = first, second
    if classes != other_classes:
        raise ModelyardError(
            f"expected two versions with the same classes, got {', '.join(classes)} and "
            f"{', '.join(other_classes)}: their answers cannot be compared"
        )
    return SameImages(
        len(ours.labels),
        classes,
        mcnemar(ours, theirs),
        confusion_matrix(ours.probabilities, ours.labels),
        confusion_matrix(theirs.probabilities, theirs.labels),
        _find_disagreements(ours, theirs, classes),
    )


def _find_disagreements(
    first: Predictions, second: Predictions, classes: tuple[str, ...]
) -> tuple[Disagreement, ...]:
    answers = [one.probabilities.argmax(axis=1) for one in (first, second)]
    scores = [one.probabilities.max(axis=1) for one in (first, second)]
    return tuple(
        Disagreement(
            int(index),
            first.names[index] if first.names else f"image {index}",
            classes[first.labels[index]],
            classes[answers[0][index]],
            classes[answers[1][index]],
            float(scores[0][index]),
            float(scores[1][index]),
        )
        for index in np.flatnonzero(answers[0] != answers[1])
    )


def _describe(evidence: Evidence) -> dict[str, Any]:
    """Leave out the proof, a table within a tag; write the time as ISO 8601."""
    tags = {key: value for key, value in sorted(evidence.tags.items()) if key != "proof"}
    return {**asdict(evidence), "created": evidence.created.isoformat(), "tags": tags}
