"""The bundle as an MLflow model. MLflow runs this file when it loads a version (models from code)."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mlflow.models
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel

from modelyard.inference.predictor import DEFAULT_TOP_K
from modelyard.inference.rows import answer_row
from modelyard.inference.runtime.interpreters import ModelError
from modelyard.inference.runtime.shared_predictor import share_predictor
from modelyard.inference.scoring.guard import OWN, guard_next_application
from modelyard.inference.scoring.limits import MOST_IMAGES

COLUMN = "image"
# The application that `mlflow models serve` starts; no other process imports it.
SCORING_SERVER = "mlflow.pyfunc.scoring_server.app"


class OneLineError(MlflowException):  # type: ignore[misc]  # MLflow is read as untyped here
    """An error whose message stays as it is.

    MLflow's scoring server prepends the whole input to the message of every MlflowException, and an image in
    an error helps nobody.
    """

    def __init__(self, reason: str, error_code: int) -> None:
        super().__init__(reason, error_code=error_code, **{OWN: True})

    @property
    def message(self) -> str:
        """The first message that was assigned; later ones are ignored."""
        return self._message

    @message.setter
    def message(self, text: str) -> None:
        if not hasattr(self, "_message"):
            self._message = text


class InputError(OneLineError):
    """The input cannot be answered: HTTP 400 from MLflow's scoring server."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, error_code=INVALID_PARAMETER_VALUE)


class BundleModel(PythonModel):  # type: ignore[misc]
    """Answers images with ranked labels, using the bundle among its artifacts."""

    def load_context(self, context: Any) -> None:
        """Load the bundle at `context.artifacts["bundle"]`."""
        self._most_images: int | None = None
        if SCORING_SERVER in sys.modules:
            keep_strings_in_python()
            guard_next_application()
            self._most_images = MOST_IMAGES
        self._predictor = share_predictor(Path(context.artifacts["bundle"]))

    def predict(
        self,
        context: Any,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> list[Any]:
        """Answer each image as `Predictor.predict` does; `params` may have its `top_k` and `on_error`.

        `on_error` may also be "row": an image without an answer is answered with `[{"error": reason}]`, which
        has the shape of an answer and so fits into a column of a table, such as Spark's. `model_input` may be
        all that `collect_images` takes. (MLflow itself always makes a DataFrame; any other type hint would
        count as a schema, or end in a warning.)

        Raises InputError if an image or a parameter is wrong, or there is no image at all, and OneLineError
        if the model itself failed (HTTP 500).
        """
        given = {name: value for name, value in (params or {}).items() if value is not None}
        top_k, on_error = given.get("top_k", DEFAULT_TOP_K), given.get("on_error", "raise")
        images = collect_images(model_input)
        if not images:
            raise InputError("no images")
        if self._most_images is not None and len(images) > self._most_images:
            raise InputError(f"{len(images)} images, at most {self._most_images} are allowed in a request")
        try:
            if on_error == "row":
                return [answer_row(self._predictor, image, top_k) for image in images]
            return self._predictor.predict(images, top_k, on_error)
        except ValueError as error:
            raise InputError(str(error)) from error
        except ModelError as error:
            raise OneLineError(str(error), error_code=INTERNAL_ERROR) from error


def keep_strings_in_python() -> None:
    """Make pandas hold text as Python strings in this process, not in Arrow's memory.

    MLflow's server makes two DataFrames a request, in six threads. Each of Arrow's conversions releases the
    interpreter's lock, and the threads spend their time passing it on: at 8 connections that cost a quarter
    of the requests. The option applies to the whole process, so only a server, which has one model, sets it.
    """
    pd.set_option("mode.string_storage", "python")


def collect_images(model_input: Any) -> list[Any]:
    """Make one list of images from what MLflow passes for its four JSON shapes, or a caller passes in Python.

    `model_input` is a DataFrame or dict with `image`, a list of images or of such dicts, an array, or one
    image. An image is the bytes of a PNG or JPEG, their base64 text, or for a model of grey pictures their
    numbers, (h, w) or (h * w,). Raises InputError if there is no column, key or list of images.
    """
    if hasattr(model_input, "columns"):
        if COLUMN not in model_input.columns:
            raise InputError(f"expected one column named {COLUMN!r}")
        cells: Iterable[Any] = model_input[COLUMN]
        return [image for cell in cells for image in _spread(cell)]
    if isinstance(model_input, dict):
        if COLUMN not in model_input:
            raise InputError(f"expected the key {COLUMN!r}")
        return collect_images(model_input[COLUMN])
    if isinstance(model_input, str | bytes):
        return [model_input]
    if not isinstance(model_input, list | tuple) and not getattr(model_input, "ndim", 0):
        raise InputError(f"expected images, got {type(model_input).__name__}")
    return [image for item in model_input for image in _spread(_unwrap(item))]


def _unwrap(item: Any) -> Any:
    return item[COLUMN] if isinstance(item, dict) and COLUMN in item else item


def _spread(cell: Any) -> list[Any]:
    """Unpack `{"image": ["...", "..."]}`, which MLflow puts into one cell; a list of numbers is one image."""
    if isinstance(cell, list | tuple | np.ndarray) and all(
        isinstance(item, str | bytes) for item in cell[:1]
    ):
        return list(cell)
    return [cell]


mlflow.models.set_model(BundleModel())
