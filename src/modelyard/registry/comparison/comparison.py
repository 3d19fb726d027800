"""Two versions side by side: what is better, whether it is luck, and what was done differently."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.evaluation.intervals import Interval, measure_intervals
from modelyard.evaluation.measures import Integers, confusion_matrix
from modelyard.evaluation.paired import PairedTest, mcnemar
from modelyard.evaluation.reports import Predictions
from modelyard.metrics import find_metric, importance, is_comparable
from modelyard.registry.evidence import Evidence, KeptPredictions, read_kept_predictions
from modelyard.tracking.store import Store

Side: TypeAlias = Literal["first", "second"]

DATA = ("data.digest", "source", "licence", "stand_in_for", "evaluation.dataset", "evaluation.digest")
CODE = ("git.commit", "git.dirty")
# Below it, a difference is called significant, by long custom.
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Measure:
    """A metric of both versions, None where one has no such number; intervals are of 95 %.

    `better` names the better number, None where they are equal or it is no matter of better and worse.
    """

    name: str
    first: float | None
    second: float | None
    first_interval: Interval | None
    second_interval: Interval | None
    better: Side | None

    def of(self, side: Side) -> tuple[float | None, Interval | None]:
        """Return the value and the interval of one version."""
        if side == "first":
            return self.first, self.first_interval
        return self.second, self.second_interval


@dataclass(frozen=True)
class Setting:
    """A parameter, a digest, a commit or a library of both versions; None where one has none."""

    name: str
    first: str | None
    second: str | None

    @property
    def differs(self) -> bool:
        """Whether the two are not the same."""
        return self.first != self.second


@dataclass(frozen=True)
class Disagreement:
    """An image that the two versions answer differently: place, name, label, both answers, both scores."""

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
        """Which version is right; None where neither is."""
        if self.first == self.label:
            return "first"
        return "second" if self.second == self.label else None


@dataclass(frozen=True)
class SameImages:
    """What both versions did with the very same images.

    Attributes:
        images: how many.
        classes: their names, in order.
        test: McNemar's.
        first_confusion: (classes, classes), counts; rows are labels.
        second_confusion: the same of the second version.
        disagreements: every image with two different answers, in the order of the images.
    """

    images: int
    classes: tuple[str, ...]
    test: PairedTest
    first_confusion: Integers
    second_confusion: Integers
    disagreements: tuple[Disagreement, ...]

    @property
    def significant(self) -> bool:
        """Whether so uneven a split is improbable, were both equally often right."""
        return self.test.p_value < SIGNIFICANCE


@dataclass(frozen=True)
class Comparison:
    """Two versions of a model, side by side.

    Attributes:
        first: a version.
        second: another, or the same.
        measures: all their metrics, the most important first.
        params: parameters that differ.
        data: what differs in what they were trained and tested on.
        libraries: that differ.
        code: commit, and whether the tree was dirty; also where they are the same.
        same_images: None for models that were measured without labels.
    """

    first: Evidence
    second: Evidence
    measures: tuple[Measure, ...]
    params: tuple[Setting, ...]
    data: tuple[Setting, ...]
    libraries: tuple[Setting, ...]
    code: tuple[Setting, ...]
    same_images: SameImages | None

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        same = self.same_images
        return {
            "name": self.first.name,
            "first": _describe(self.first),
            "second": _describe(self.second),
            "measures": [asdict(measure) for measure in self.measures],
            "params": [asdict(setting) for setting in self.params],
            "data": [asdict(setting) for setting in self.data],
            "libraries": [asdict(setting) for setting in self.libraries],
            "code": [asdict(setting) for setting in self.code],
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

    A version that was tested on labelled images keeps its predictions: without them, or with those of other
    data, there is no telling luck from skill, and the whole comparison is refused rather than shown without
    its most important line. Models measured without labels are compared by what there is.

    Raises:
        ModelyardError: a version was not evaluated, or keeps no predictions of its own though it was tested
            on labelled images; or the two were measured on different data.
    """
    for evidence in (first, second):
        _refuse_unmeasured(evidence)
    _refuse_other_data(first, second)
    kept = None
    if _is_labelled(first) or _is_labelled(second):
        kept = read_kept_predictions(store, first), read_kept_predictions(store, second)
    return Comparison(
        first,
        second,
        _line_up_measures(first, second, kept),
        _line_up(_params(first), _params(second)),
        _line_up(_pick(first.tags, DATA), _pick(second.tags, DATA)),
        _line_up(_libraries(first), _libraries(second)),
        tuple(Setting(name, first.tags.get(name), second.tags.get(name)) for name in CODE),
        kept and _look_at_images(*kept),
    )


def _is_labelled(evidence: Evidence) -> bool:
    return "test/accuracy" in evidence.metrics


def _refuse_unmeasured(evidence: Evidence) -> None:
    if not evidence.dataset_digest or not any(
        name.startswith(("test/", "agreement/")) for name in evidence.metrics
    ):
        raise ModelyardError(
            f"{evidence.uri}: expected a version that was evaluated before it was registered, it has no "
            "measurements: publish its bundle with `make repro`"
        )


def _refuse_other_data(first: Evidence, second: Evidence) -> None:
    if first.dataset_digest != second.dataset_digest:
        raise ModelyardError(
            f"expected two versions measured on the same data, {first.uri} was on {first.dataset} "
            f"{first.dataset_digest[:12]}, {second.uri} on {second.dataset} {second.dataset_digest[:12]}: "
            "evaluate both on the same data and register them again"
        )


def _line_up_measures(
    first: Evidence, second: Evidence, kept: tuple[KeptPredictions, KeptPredictions] | None
) -> tuple[Measure, ...]:
    intervals: list[dict[str, Interval]] = [{}, {}]
    if kept:
        intervals = [measure_intervals(one.predictions, one.classes) for one in kept]
    names = sorted(first.metrics.keys() | second.metrics.keys(), key=importance)
    return tuple(
        Measure(
            name,
            first.metrics.get(name),
            second.metrics.get(name),
            intervals[0].get(name),
            intervals[1].get(name),
            _better(name, first.metrics.get(name), second.metrics.get(name)),
        )
        for name in names
        if is_comparable(name)
    )


def _better(name: str, first: float | None, second: float | None) -> Side | None:
    better = find_metric(name).better
    if better is None or first is None or second is None or first == second:
        return None
    return "first" if (first > second) == (better == "higher") else "second"


def _line_up(first: Mapping[str, str], second: Mapping[str, str]) -> tuple[Setting, ...]:
    """Return what differs, by name."""
    names = sorted(first.keys() | second.keys())
    settings = [Setting(name, first.get(name), second.get(name)) for name in names]
    return tuple(setting for setting in settings if setting.differs)


def _params(evidence: Evidence) -> dict[str, str]:
    """Of a run that was packaged twice, only the version knows how it was packaged."""
    packaged = {"package.precision": evidence.tags["precision"]} if "precision" in evidence.tags else {}
    return {**evidence.params, **packaged}


def _libraries(evidence: Evidence) -> dict[str, str]:
    listed = evidence.tags.get("libraries", "").split(", ")
    pairs = [entry.rpartition(" ") for entry in listed if entry]
    return {name: version for name, _, version in pairs}


def _pick(tags: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: tags[name] for name in names if name in tags}


def _look_at_images(first: KeptPredictions, second: KeptPredictions) -> SameImages:
    if first.classes != second.classes:
        raise ModelyardError(
            f"expected two versions with the same classes, got {', '.join(first.classes)} and "
            f"{', '.join(second.classes)}: their answers cannot be compared"
        )
    return SameImages(
        len(first.predictions.labels),
        first.classes,
        mcnemar(first.predictions, second.predictions),
        _confusion(first.predictions),
        _confusion(second.predictions),
        _find_disagreements(first.predictions, second.predictions, first.classes),
    )


def _confusion(predictions: Predictions) -> Integers:
    return confusion_matrix(predictions.probabilities, predictions.labels)


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
    """All but the proof, a table within a tag; the time as ISO 8601."""
    tags = {key: value for key, value in sorted(evidence.tags.items()) if key != "proof"}
    return {**asdict(evidence), "created": evidence.created.isoformat(), "tags": tags}
