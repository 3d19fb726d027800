"""A bundle as an MLflow model that contains its code, and needs neither TensorFlow nor this repository."""

import base64
import io
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import modelyard
from modelyard.inference.bundle import Bundle, Preprocessing
from modelyard.inference.predictor import DEFAULT_TOP_K

# What answers an image; their own requirements come with them.
REQUIREMENTS = ("mlflow", "numpy", "pillow", "ai-edge-litert")
LARGEST_SIDE = 96


def model_arguments(bundle: Bundle, staging: Path) -> dict[str, Any]:
    """Return the keyword arguments of `mlflow.pyfunc.log_model` and `save_model` for a bundle.

    The code is copied to `staging`, an empty or missing folder, which must stay until MLflow is done.
    """
    package = _stage_code(staging / modelyard.__name__)
    return {
        "python_model": str(package / "inference" / "mlflow_model.py"),
        "artifacts": {"bundle": str(bundle.folder.resolve())},
        "code_paths": [str(package)],
        "pip_requirements": [f"{name}=={version(name)}" for name in REQUIREMENTS],
        "signature": _make_signature(),
        "input_example": _make_example(bundle),
    }


def _stage_code(package: Path) -> Path:
    """Copy the package with only `inference`, which imports nothing else of it."""
    source = Path(modelyard.__file__).parent
    package.mkdir(parents=True)
    shutil.copyfile(source / "__init__.py", package / "__init__.py")
    shutil.copytree(source / "inference", package / "inference", ignore=shutil.ignore_patterns("__pycache__"))
    return package.resolve()


def _make_signature() -> Any:
    """Let every JSON shape through to the model, which reports errors without sending the input back.

    With a binary column, MLflow would decode base64 itself for two of the four shapes, turn the URL-safe kind
    into nothing, and write the input into its errors.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType, Array, Object, Property

    label = Object(
        [
            Property("label", DataType.string),
            Property("score", DataType.double),
            Property("id", DataType.long),
            Property("synset", DataType.string, required=False),
            Property("unlikeness", DataType.double, required=False),
        ]
    )
    return ModelSignature(
        inputs=Schema([ColSpec(AnyType(), "image", required=False)]),
        outputs=Schema([ColSpec(Array(label), "labels")]),
        params=ParamSchema(
            [
                ParamSpec("top_k", DataType.long, DEFAULT_TOP_K),
                ParamSpec("on_error", DataType.string, "raise"),
            ]
        ),
    )


def _make_example(bundle: Bundle) -> Any:
    import pandas as pd  # type: ignore[import-untyped]

    picture = base64.b64encode(_draw_picture(bundle.preprocessing)).decode()
    return pd.DataFrame({"image": [picture]})


def _draw_picture(how: Preprocessing) -> bytes:
    from PIL import Image, ImageDraw

    width, height = min(how.width, LARGEST_SIDE), min(how.height, LARGEST_SIDE)
    image = Image.new("RGB", (width, height), "midnightblue")
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, height * 2 // 3, width, height], fill="seagreen")
    draw.ellipse([width * 2 // 3, height // 8, width * 7 // 8, height // 3], fill="gold")
    grey = how.channels == 1
    stream = io.BytesIO()
    image.convert("L" if grey else "RGB").save(stream, "PNG" if grey else "JPEG")
    return stream.getvalue()
