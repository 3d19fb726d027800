"""Answers as rows of a table: a picture that has no answer is a row as well."""

from typing import Any

from modelyard.inference.decoding.images import ImageError
from modelyard.inference.predictor import DEFAULT_TOP_K, Answer, Predictor
from modelyard.inference.runtime.interpreters import ModelError


def answer_row(predictor: Predictor, image: Any, top_k: int = DEFAULT_TOP_K) -> Answer:
    """Answer one image as `Predictor.predict` does, or `[{"error": reason}]`, with the reason in one line.

    Raises ValueError if `top_k` is out of range.
    """
    try:
        [answer] = predictor.predict([image], top_k)
    except ImageError as error:
        answer = [{"error": error.reason}]
    except ModelError as error:
        answer = [{"error": str(error)}]
    assert isinstance(answer, list)  # noqa: S101  # errors are raised
    return answer
