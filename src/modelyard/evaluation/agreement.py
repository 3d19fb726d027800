"""How far a served model's answers are from those of the network that it was made of."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures import Floats, Integers, check_probabilities


@dataclass(frozen=True)
class Answers:
    """What the source answered when its bundle was packaged.

    Attributes:
        names: n names, of files and of cut-outs.
        probabilities: (n, outputs), float32, in the order of `names`.
    """

    names: tuple[str, ...]
    probabilities: Floats

    def of(self, names: Sequence[str]) -> Floats:
        """Return the probabilities of these names, in this order.

        Raises:
            ModelyardError: the source has not answered one.
        """
        places = {name: place for place, name in enumerate(self.names)}
        if missing := [name for name in names if name not in places]:
            raise ModelyardError(
                f"expected the source's answer to {missing[0]}, it has answered {len(self.names)} other "
                f"pictures ({len(missing)} are missing): package the bundle again"
            )
        return self.probabilities[[places[name] for name in names]]


def read_answers(path: Path) -> Answers:
    """Read the source's answers from an .npz with `names` and `probabilities`.

    Raises:
        ModelyardError: the file is missing, is no .npz, lacks one of the two, or holds no probabilities.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            names, probabilities = arrays["names"], arrays["probabilities"]
    except FileNotFoundError:
        raise ModelyardError(f"{path} is missing: packaging the bundle writes it") from None
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ModelyardError(
            f"{path}: expected an .npz with `names` and `probabilities`, got {error}: "
            "package the bundle again"
        ) from error
    check_probabilities(probabilities, str(path))
    if names.shape != (len(probabilities),):
        raise ModelyardError(
            f"{path}: expected a name for each of {len(probabilities)} answers, "
            f"got names of the shape {names.shape}"
        )
    return Answers(tuple(str(name) for name in names), probabilities)


def measure_agreement(source: Floats, served: Floats, answered: Sequence[int] | Integers) -> dict[str, float]:
    """Compare two tables of probabilities of the same images, row by row.

    Args:
        source: (n, outputs), of the network before conversion.
        served: (n, outputs), of the bundle.
        answered: the outputs that have a label; no other one is ever a first answer.

    Returns:
        `images`, n; `max_difference`, the largest difference of any probability, 0..1; `same_first`, the
        share of images with the same first answer, 0..1; `answers`, how many different first answers the
        source has.

    Raises:
        ModelyardError: a table is none of probabilities, or their shapes differ.
    """
    check_probabilities(source, "the source's probabilities")
    check_probabilities(served, "the bundle's probabilities")
    if source.shape != served.shape:
        raise ModelyardError(
            f"the agreement: expected the source's shape {source.shape}, the bundle's is {served.shape}: "
            "package the bundle again"
        )
    first, first_served = (table[:, answered].argmax(axis=1) for table in (source, served))
    return {
        "images": len(source),
        "max_difference": float(abs(source.astype(np.float64) - served).max()),
        "same_first": float((first == first_served).mean()),
        "answers": len(set(first.tolist())),
    }
