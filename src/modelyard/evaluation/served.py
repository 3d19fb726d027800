"""A bundle asked, and timed, as a server asks it: one file at a time, through the same predictor."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.evaluation.asking import Files, ask_for_all
from modelyard.evaluation.latency import Latency, measure_latency, name_processor
from modelyard.evaluation.measures.classification import Floats
from modelyard.evaluation.reference import Reference, make_reference
from modelyard.images.pictures import LIMITS
from modelyard.inference.bundle import Bundle, BundleError, read_bundle
from modelyard.inference.decoding.formats import find_format
from modelyard.inference.decoding.images import ImageError
from modelyard.inference.input_figures import input_figures
from modelyard.inference.predictor import Predictor
from modelyard.inference.runtime.interpreters import ModelError
from modelyard.params import Evaluate

MOST_NAMED = 10


@dataclass(frozen=True)
class Served:
    """A bundle, and what it answered."""

    predictor: Predictor
    probabilities: Floats  # (n, outputs), float32, of every file
    figures: Floats  # (n, len(FIGURES)), float32, of each prepared input
    unlikeness: Floats | None  # (n,), float32, if the model tells it
    load_ms: float  # from reading the bundle's files to its first answer, in this process
    latency: Latency  # of one file, decoded and answered
    timed: str  # that file, in words

    @property
    def bundle(self) -> Bundle:
        """The bundle that was measured."""
        return self.predictor.bundle

    def costs(self) -> dict[str, Any]:
        """Time and size, as in metrics.json."""
        return {
            "latency": {"p50_ms": self.latency.p50_ms, "p99_ms": self.latency.p99_ms},
            "load_ms": self.load_ms,
            "size_bytes": self.bundle.size_bytes,
        }

    def reference(self) -> Reference:
        """What the answers to live pictures are compared with."""
        names = [label.name for label in self.bundle.labels]
        return make_reference(self.probabilities, self.figures, names, self.unlikeness)

    def circumstances(self) -> dict[str, Any]:
        """What was timed on what, as in report.json."""
        return {
            "latency": {"input": self.timed, "runs": self.latency.runs},
            "processor": name_processor(),
        }


def find_bundles(folder: Path) -> list[Path]:
    """Return the folders of a role's bundles, float32 before int8; raise ModelyardError if there are none."""
    found = sorted(path for path in folder.glob("*") if path.is_dir())
    if not found:
        raise ModelyardError(
            f"expected a bundle in {folder}, but there is none: the stage that packages says why"
        )
    return found


def ask_bundle(
    folder: Path, files: Files, evaluate: Evaluate, *, classes: Sequence[str] | None = None
) -> Served:
    """Load the bundle in `folder`, time it with the first file, and ask it about every file.

    `classes` are the names that its labels must have, in this order; None takes any. Raises ModelyardError if
    there are no files, one cannot be read, or the bundle is damaged or cannot answer.
    """
    if not len(files):
        raise ModelyardError("expected pictures to measure a model with, got none")
    first = files.file(0)
    predictor, load_ms = _load_predictor(folder, first, classes)
    latency = measure_latency(
        lambda: predictor.predict([first]), evaluate.latency_runs, evaluate.latency_warmup
    )
    height, width = predictor.decode(first).shape[:2]
    what = f"one {kind.name if (kind := find_format(first)) else 'file'} of {width}x{height} pixels"
    given = answer_files(predictor, files, len(files) * latency.p50_ms / 1000)
    return Served(predictor, *given, load_ms, latency, what)


def _load_predictor(folder: Path, image: bytes, classes: Sequence[str] | None) -> tuple[Predictor, float]:
    """Load a bundle, and measure the milliseconds to its first answer, to `image`.

    The predictor's modules are imported already. Nothing may run a model before this, as in a server that has
    just started.
    """
    start_ns = time.perf_counter_ns()
    try:
        bundle = read_bundle(folder)
        if classes is not None:
            _refuse_other_labels(bundle, classes)
        predictor = Predictor(bundle, limits=LIMITS)
        predictor.predict([image], top_k=1)
    except (BundleError, ImageError, ModelError) as error:
        raise ModelyardError(f"the bundle {folder} cannot answer: {error}: package it again") from error
    return predictor, (time.perf_counter_ns() - start_ns) / 1e6


def answer_files(
    predictor: Predictor, files: Files, seconds: float = 0.0
) -> tuple[Floats, Floats, Floats | None]:
    """Return float32 probabilities (n, outputs), figures of the inputs, and unlikeness; see `Served`.

    `seconds` and errors are those of `ask_for_all`.
    """
    given = ask_for_all(_answer_file, predictor, files, range(len(files)), "asking", seconds)
    probabilities, figures, unlikeness = zip(*given, strict=True)
    told = np.array(unlikeness, np.float32) if predictor.tells_unlikeness else None
    return np.stack(probabilities), np.stack(figures), told


def _answer_file(predictor: Predictor, files: Files, place: int) -> tuple[Floats, Floats, float | None]:
    """Return the probabilities of one file (outputs,), the figures of its input, and its unlikeness."""
    ready = predictor.preprocess(files.file(place))
    given = predictor.ask(ready)
    return (
        given.scores,
        input_figures(predictor.bundle.preprocessing.levels(ready)[None])[0],
        given.unlikeness,
    )


def _refuse_other_labels(bundle: Bundle, classes: Sequence[str]) -> None:
    labels = [label.name or f"output {place} without a name" for place, label in enumerate(bundle.labels)]
    if labels != list(classes):
        raise ModelyardError(
            f"{bundle.folder}: expected labels that are the dataset's classes, in the same order "
            f"({_list(classes)}), the bundle has {_list(labels)}: train and package with this dataset"
        )


def _list(names: Sequence[str]) -> str:
    rest = f" ... {len(names)} in all" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + rest
