"""A bundle asked as a server asks it: files in, one at a time, through the same predictor."""

import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from modelyard.errors import ModelyardError
from modelyard.evaluation.latency import Latency, measure_latency
from modelyard.evaluation.measures import Floats
from modelyard.images.pictures import LIMITS
from modelyard.inference.bundle import Bundle, BundleError, read_bundle
from modelyard.inference.decoding.formats import find_format
from modelyard.inference.decoding.images import ImageError
from modelyard.inference.interpreters import ModelError
from modelyard.inference.predictor import Predictor
from modelyard.params import Evaluate

# After this many seconds, progress is shown.
PATIENCE_S = 2.0
MOST_NAMED = 10


class Files(Protocol):
    """PNG and JPEG files, each of which is read only when it is asked for."""

    def __len__(self) -> int:
        """Return how many there are."""

    def name(self, place: int) -> str:
        """Return what to call one in a message."""

    def file(self, place: int) -> bytes:
        """Return the bytes of one."""


@dataclass(frozen=True)
class Served:
    """A bundle, and what it did.

    Attributes:
        predictor: of the bundle.
        probabilities: (n, outputs), float32, of every file, as `Predictor.predict` ranks them.
        load_ms: see `load_predictor`.
        latency: of one file, decoded and answered.
        timed: that file, in words.
    """

    predictor: Predictor
    probabilities: Floats
    load_ms: float
    latency: Latency
    timed: str

    @property
    def bundle(self) -> Bundle:
        """The bundle that was measured."""
        return self.predictor.bundle

    def costs(self) -> dict[str, Any]:
        """Time and size, as they stand in metrics.json."""
        return {
            "latency": {"p50_ms": self.latency.p50_ms, "p99_ms": self.latency.p99_ms},
            "load_ms": self.load_ms,
            "size_bytes": self.bundle.size_bytes,
        }

    def circumstances(self) -> dict[str, Any]:
        """What was timed on what, as it stands in report.json."""
        return {
            "latency": {"input": self.timed, "runs": self.latency.runs},
            "processor": name_processor(),
        }


def find_bundles(folder: Path) -> list[Path]:
    """Return the folders of the bundles of one role, float32 before int8.

    Raises:
        ModelyardError: there is none.
    """
    found = sorted(path for path in folder.glob("*") if path.is_dir())
    if not found:
        raise ModelyardError(
            f"expected a bundle in {folder}, there is none: the stage that packages says why"
        )
    return found


def ask_bundle(
    folder: Path,
    files: Files,
    evaluate: Evaluate,
    *,
    classes: Sequence[str] | None = None,
) -> Served:
    """Load the bundle in `folder`, time it with the first file, and ask it for every file.

    Args:
        folder: of the bundle.
        files: at least one.
        evaluate: how often to time it.
        classes: the names that its labels must have, in this order; None takes any.

    Raises:
        ModelyardError: there are no files, one cannot be read, or the bundle cannot answer.
    """
    if not len(files):
        raise ModelyardError("expected pictures to measure a model with, got none")
    first = files.file(0)
    predictor, load_ms = load_predictor(folder, first, classes)
    latency = measure_latency(
        lambda: predictor.predict([first]), evaluate.latency_runs, evaluate.latency_warmup
    )
    height, width = predictor.decode(first).shape[:2]
    what = f"one {kind.name if (kind := find_format(first)) else 'file'} of {width}x{height} pixels"
    return Served(predictor, answer_files(predictor, files), load_ms, latency, what)


def load_predictor(
    folder: Path, image: bytes, classes: Sequence[str] | None = None
) -> tuple[Predictor, float]:
    """Load a bundle, and measure the milliseconds from reading its files to its first answer, to `image`.

    The time is measured in this process, the predictor's modules being imported already; call it before
    anything else has run a model, as in a server that has just started.

    Raises:
        ModelyardError: the bundle is not whole, has other labels than `classes`, or cannot answer the image.
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


def answer_files(predictor: Predictor, files: Files) -> Floats:
    """Give the probabilities (n, outputs), float32; one file is in memory at a time.

    Raises:
        ModelyardError: a file cannot be read, or the model gave what is no answer.
    """
    given = np.empty((len(files), len(predictor.bundle.labels)), np.float32)
    # Nothing is shown where no person looks at a terminal.
    places = tqdm(
        range(len(files)), "asking", unit="picture", file=sys.stderr, delay=PATIENCE_S, disable=None
    )
    for place in places:
        try:
            given[place] = predictor.probabilities(predictor.preprocess(files.file(place))[None])[0]
        except ImageError as error:
            raise ModelyardError(
                f"{files.name(place)}: expected a PNG or JPEG, got {error.reason}"
            ) from error
        except ModelError as error:
            raise ModelyardError(f"{predictor.bundle.folder}: {error}: package it again") from error
    return given


def name_processor() -> str:
    """Return the name of this machine's processor, since a latency means nothing without it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


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
