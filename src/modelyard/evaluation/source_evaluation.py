"""The evaluation without labels: how far a bundle's answers are from those of the network it was made of."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from modelyard.errors import ModelyardError
from modelyard.evaluation.agreement import Answers, measure_agreement
from modelyard.evaluation.reports import describe_bundle, digest_files, packaging_proof
from modelyard.evaluation.served import Served, ask_bundle
from modelyard.images.crops import NamedPixels, cut_out
from modelyard.images.pictures import LIMITS
from modelyard.inference.images import ImageError, decode
from modelyard.params import Evaluate

ANSWERS = 5


@dataclass(frozen=True)
class Samples:
    """Sample pictures and cut-outs of them, each of which can be had as a file.

    Attributes:
        paths: of the pictures, in the order of their names.
        cuts: name and pixels of the pictures, then of the cut-outs; see `images.crops.cut_out`.
        own: the place of the first picture that came with the network.
    """

    paths: Sequence[Path]
    cuts: Sequence[NamedPixels]
    own: int

    def __len__(self) -> int:
        """Return the number of pictures and cut-outs."""
        return len(self.cuts)

    def name(self, place: int) -> str:
        """Return the file's name, of a cut-out with its number."""
        return self.cuts[place][0]

    def file(self, place: int) -> bytes:
        """Return the file itself, of a cut-out a PNG."""
        if place < len(self.paths):
            return self.paths[place].read_bytes()
        stream = io.BytesIO()
        Image.fromarray(self.cuts[place][1]).save(stream, format="PNG", compress_level=1)
        return stream.getvalue()

    @property
    def digest(self) -> str:
        """SHA-256 in hex over the files, and the names of the cut-outs, which are the same every time."""
        names = [name for name, _ in self.cuts[len(self.paths) :]]
        return digest_files(self.paths, names)


@dataclass(frozen=True)
class SourceEvaluation:
    """What a bundle did with the sample pictures.

    Attributes:
        served: the bundle, asked for every picture and cut-out.
        samples: the pictures.
        agreement: see `agreement.measure_agreement`.
    """

    served: Served
    samples: Samples
    agreement: dict[str, float]

    def metrics(self) -> dict[str, Any]:
        """All numbers, nested; no accuracy, for these pictures have no labels. See `nesting.flatten`.

        What the decoder alone changes (`agreement/decoder_max_difference`) is known from packaging, where
        the source could be asked; all else is measured here.
        """
        return {
            "agreement": packaging_proof(self.served.bundle) | self.agreement,
            **self.served.costs(),
        }

    def report(self) -> dict[str, Any]:
        """What was measured on what, and the five best answers to every sample picture."""
        folders = dict.fromkeys(path.parent.as_posix() for path in self.samples.paths)
        names = [path.name for path in self.samples.paths]
        return {
            "bundle": describe_bundle(self.served.bundle),
            "dataset": {
                "name": "sample-pictures",
                "digest": self.samples.digest,
                "source": ", ".join(folders),
                "images": len(self.samples),
            },
            **self.served.circumstances(),
            "answers": dict(zip(names, self.answers(), strict=True)),
        }

    def answers(self) -> list[Any]:
        """The five best answers to every sample picture, as `Predictor.predict` ranks them."""
        files = (path.read_bytes() for path in self.samples.paths)
        return self.served.predictor.predict(files, top_k=ANSWERS)

    def summarize(self) -> str:
        """Say in one line how close it is to its source."""
        found = self.agreement
        return (
            f"{self.served.bundle.name} ({self.served.bundle.precision}): its source's first answer on "
            f"{found['same_first']:.0%} of {found['images']} pictures (different ones: {found['answers']}), "
            f"largest difference {found['max_difference']:.1e}, {self.served.latency.p50_ms:.1f} ms an image"
        )


def read_samples(own: Path, more: Path, count: int) -> Samples:
    """Read the sample pictures and cut them until there are `count`.

    Args:
        own: a folder with the pictures that came with the network, at least one.
        more: a folder with other pictures, or with none.
        count: how many pictures and cut-outs to ask for.

    Raises:
        ModelyardError: there is no picture, or one cannot be read.
    """
    paths = sorted([*own.iterdir(), *more.iterdir()], key=lambda path: path.name)
    firsts = [place for place, path in enumerate(paths) if path.parent == own]
    if not firsts:
        raise ModelyardError(f"expected sample pictures in {own}, it holds none: `dvc repro --force import`")
    cuts = cut_out([(path.name, _decode(path)) for path in paths], count)
    return Samples(paths, cuts, firsts[0])


def evaluate_against_source(
    folder: Path, samples: Samples, source: Answers, evaluate: Evaluate
) -> SourceEvaluation:
    """Ask the bundle in `folder` for the pictures that its source has answered, each as a file.

    Raises:
        ModelyardError: the source has not answered a picture, the bundle is not whole, or its answers are
            none.
    """
    expected = source.of([samples.name(place) for place in range(len(samples))])
    served = ask_bundle(folder, samples, evaluate, timed=samples.own)
    answered = [place for place, label in enumerate(served.bundle.labels) if label.name is not None]
    return SourceEvaluation(served, samples, measure_agreement(expected, served.probabilities, answered))


def _decode(path: Path) -> Any:
    try:
        return decode(path.read_bytes(), LIMITS)
    except ImageError as error:
        raise ModelyardError(f"{path}: expected a PNG or JPEG, got {error.reason}") from error
