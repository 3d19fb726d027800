"""The wrong answers of which a model is surest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelyard.evaluation.measures import Floats, Integers, check_answers


@dataclass(frozen=True)
class Mistake:
    """A wrong first answer: the image's index, the label's name, the answer's name, and its score."""

    index: int
    truth: str
    answer: str
    score: float


def worst_mistakes(
    probabilities: Floats, labels: Integers, names: Sequence[str], limit: int
) -> tuple[Mistake, ...]:
    """Find at most `limit` mistakes, the one with the highest score first; of equals, the lower index.

    Args:
        probabilities: (n, classes), as `evaluation` wants them.
        labels: (n,), integers.
        names: a name for every class, in order.
        limit: how many at most.
    """
    check_answers(probabilities, labels)
    answers = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(answers != labels)
    scores = probabilities[wrong, answers[wrong]]
    worst = wrong[np.argsort(-scores, kind="stable")][:limit]
    return tuple(
        Mistake(
            int(index),
            names[labels[index]],
            names[answers[index]],
            float(probabilities[index, answers[index]]),
        )
        for index in worst
    )
