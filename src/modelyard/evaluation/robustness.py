"""How often a bundle is right on corrupted test pictures, as it is served."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.evaluation.asking import Files, ask_for_all
from modelyard.evaluation.corruptions import KINDS, STRENGTHS, corrupt, reduce_photo
from modelyard.evaluation.measures.classification import Integers
from modelyard.evaluation.served import Served
from modelyard.files import write_csv
from modelyard.images.pictures import Pictures
from modelyard.inference.predictor import Predictor
from modelyard.params import Corruptions

# A camera's photo takes a hundred times as long as a picture of 28x28, and a network such as Inception a
# thousand times as long as one for these.
FEWER_PHOTOS, FEWER_BY_LARGE = 10, 100
LARGE_BYTES = 10_000_000


@dataclass(frozen=True)
class Robustness:
    """Right answers to corrupted pictures: the same pictures for each kind, each in one of the strengths."""

    kinds: tuple[str, ...]
    places: NDArray[np.intp]  # (n,), which test pictures, in a random order
    right: NDArray[np.bool_]  # (n, kinds)
    unchanged: NDArray[np.bool_]  # (n,), whether it is right on the pictures themselves
    seed: int

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """The share of right answers for each kind, (kinds,)."""
        shares: NDArray[np.float64] = self.right.mean(axis=0, dtype=np.float64)
        return shares

    @property
    def worst(self) -> str:
        """The kind with the lowest accuracy."""
        return self.kinds[int(self.accuracies.argmin())]

    def count(self, kind: str, strength: int) -> tuple[int, int]:
        """Return how many answers are right, and of how many."""
        right = self.right[_strengths(kind, len(self.places)) == strength, self.kinds.index(kind)]
        return int(right.sum()), len(right)

    def metrics(self) -> dict[str, float]:
        """The few numbers that sum up all others, by their names in the catalogue."""
        return {
            "mean_accuracy": float(self.accuracies.mean()),
            "worst_accuracy": float(self.accuracies.min()),
            "answers": self.right.size,
        }

    def report(self) -> dict[str, Any]:
        """What was measured on what, as in report.json; the table has the strengths."""
        return {
            "pictures": len(self.places),
            "seed": self.seed,
            "unchanged": float(self.unchanged.mean()),
            "worst": {"kind": self.worst, "title": KINDS[self.worst].title},
            "kinds": dict(zip(self.kinds, self.accuracies.tolist(), strict=True)),
        }

    def write(self, path: Path) -> None:
        """Write a CSV with `kind`, `strength`, `pictures`, `right`, `accuracy`; `none` is no corruption."""
        write_csv(path, ("kind", "strength", "pictures", "right", "accuracy"), self._rows())

    def _rows(self) -> Iterator[tuple[str, int, int, int, str]]:
        yield "none", 0, len(self.unchanged), int(self.unchanged.sum()), f"{self.unchanged.mean():.6f}"
        for kind in self.kinds:
            for strength in range(1, STRENGTHS + 1):
                right, asked = self.count(kind, strength)
                if asked:
                    yield kind, strength, asked, right, f"{right / asked:.6f}"


def measure_robustness(served: Served, pictures: Pictures, how: Corruptions) -> Robustness | None:
    """Ask the bundle about corrupted copies of some test pictures; return None if `how` asks for none.

    Pictures, kinds and random numbers depend on the data, on `how` and on the network's size alone, so that
    versions can be compared: a large network is asked about some of those that a small one is asked about.
    Raises ModelyardError if a picture cannot be read, or the bundle cannot answer.
    """
    kinds = tuple(KINDS) if how.kinds is None else tuple(kind for kind in KINDS if kind in how.kinds)
    large = served.bundle.size_bytes > LARGE_BYTES
    places = _choose(len(pictures), how, FEWER_BY_LARGE if large else FEWER_PHOTOS if pictures.slow else 1)
    if not len(places):
        return None
    answers = _ask(served, pictures, places, kinds, how.seed)
    right = answers == pictures.labels[places][:, None]
    return Robustness(
        kinds, places, right, served.probabilities[places].argmax(axis=1) == pictures.labels[places], how.seed
    )


def _choose(count: int, how: Corruptions, fewer: int) -> NDArray[np.intp]:
    return np.random.default_rng(how.seed).permutation(count)[: -(-how.pictures // fewer)]


def _strengths(kind: str, count: int) -> Integers:
    """Return the strength in which each of the chosen pictures is asked, 1 to 3, in turn."""
    return (np.arange(count) + list(KINDS).index(kind)) % STRENGTHS + 1


def _ask(
    served: Served, pictures: Pictures, places: NDArray[np.intp], kinds: Sequence[str], seed: int
) -> Integers:
    """Return the first answers (n, kinds)."""
    strengths = np.stack([_strengths(kind, len(places)) for kind in kinds], axis=1)
    plan = {int(place): tuple(map(int, row)) for place, row in zip(places, strengths, strict=True)}
    seconds = len(places) * len(kinds) * served.latency.p50_ms / 1000
    ask = partial(_answer_corrupted, kinds, plan, seed)
    return np.stack(ask_for_all(ask, served.predictor, pictures, list(plan), "asking corrupted", seconds))


def _answer_corrupted(
    kinds: Sequence[str],
    plan: dict[int, tuple[int, ...]],
    seed: int,
    predictor: Predictor,
    pictures: Files,
    place: int,
) -> Integers:
    """Return the first answer to a picture in each kind of corruption, (kinds,)."""
    pixels = reduce_photo(predictor.decode(pictures.file(place)))
    copies = (
        corrupt(pixels, kind, strength, (seed, place))
        for kind, strength in zip(kinds, plan[place], strict=True)
    )
    return np.array([predictor.ask(predictor.prepare(one)).scores.argmax() for one in copies])
