"""Questions: the same digit and the same photo, in the form that each server takes."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from modelyard.errors import ModelyardError

MNIST, INCEPTION = "mnist", "inception"
JSON = "application/json"
Read = Callable[[Any], str]


@dataclass(frozen=True)
class Question:
    """One request with a file as its body, and the right label, which `read` finds in the server's JSON."""

    path: str
    content_type: str
    body: Path
    label: str
    read: Read

    def check(self, content: bytes, server: str) -> None:
        """Refuse an answer of a server that has another label, or none that can be found."""
        try:
            label = self.read(json.loads(content))
        except (ValueError, LookupError, TypeError):
            label = None
        if label != self.label:
            told = repr(label or content[:200])
            raise ModelyardError(f"{server}: expected the label {self.label!r}, got {told}")


@dataclass(frozen=True)
class Subject:
    """A model, and the image that all servers are asked about; network.json in `folder` holds the rest.

    Attributes:
        name: in the registry.
        image: a PNG or JPEG in `folder`, which the trained network answers with `label`.
        shape: height, width and channels that the network takes, as (pixels - mean) * scale.
        stock_uri: of the same network in MLflow's TensorFlow flavor, in the store beside `folder`.
    """

    folder: Path
    title: str
    name: str
    image: str
    label: str
    labels: Sequence[str]
    shape: Sequence[int]
    mean: float
    scale: float
    stock_uri: str = ""

    @property
    def stock_store(self) -> str:
        """Address of the store with the network in MLflow's TensorFlow flavor."""
        return f"sqlite:///{self.folder.parent / 'stock.db'}"

    def ask_with_image(self, path: str, read: Read) -> Question:
        """Make a question whose body is the image."""
        kind = "image/png" if self.image.endswith("png") else "image/jpeg"
        return Question(path, kind, self.folder / self.image, self.label, read)

    def ask_with_base64(self, path: str, key: str, as_list: bool, read: Read) -> Question:
        """Make a question with the image as base64 in JSON, under `key`."""
        text = base64.b64encode((self.folder / self.image).read_bytes()).decode()
        return self._ask_with_json(path, key, [text] if as_list else text, read)

    def ask_with_numbers(self, path: str) -> Question:
        """Make a question with the pixels as numbers in JSON, as a client of MLflow's own flavor has to."""
        height, width, channels = self.shape
        picture = Image.open(self.folder / self.image).convert("L" if channels == 1 else "RGB")
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        pixels = (np.asarray(picture).reshape(height, width, channels) - self.mean) * self.scale
        # Six decimals: a hundredth of the step between two grey values, at a third of the length.
        numbers = [np.round(pixels, 6).tolist()]
        return self._ask_with_json(
            path, "instances", numbers, lambda answer: self.labels[int(np.argmax(answer["predictions"][0]))]
        )

    def _ask_with_json(self, path: str, key: str, value: Any, read: Read) -> Question:
        body = self.folder / f"{key}.json"
        body.write_text(json.dumps({key: value}, separators=(",", ":")))
        return Question(path, JSON, body, self.label, read)
