"""Questions: the same digit and the same photo, in the form that each server takes."""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from modelyard.errors import ModelyardError

PHOTO_SIZE = (640, 480)
PNG, JPEG, JSON = "image/png", "image/jpeg", "application/json"


@dataclass(frozen=True)
class Question:
    """One request and the right answer to it.

    Attributes:
        path: of the server.
        content_type: of the body.
        body: the file with it.
        label: what the first answer must be.
        read: finds the label in the server's JSON.
    """

    path: str
    content_type: str
    body: Path
    label: str
    read: Callable[[Any], str]

    def check(self, content: bytes) -> None:
        """Refuse an answer with another label.

        Raises:
            ModelyardError: it has another, or none that can be found.
        """
        try:
            label = self.read(json.loads(content))
        except (ValueError, LookupError, TypeError) as error:
            raise ModelyardError(f"expected the label {self.label!r}, got {content[:200]!r}") from error
        if label != self.label:
            raise ModelyardError(f"expected the label {self.label!r}, got {label!r}")


@dataclass(frozen=True)
class Subject:
    """A model, and the image that all servers are asked about.

    Attributes:
        title: for people.
        name: in the registry.
        image: the PNG or JPEG.
        content_type: of the image.
        label: its first answer by the trained network.
        network: the folder that peers load.
        stock_store: address of the scratch store that has the same network in MLflow's TensorFlow flavor.
        stock_uri: of the network in there.
    """

    title: str
    name: str
    image: Path
    content_type: str
    label: str
    network: Path
    stock_store: str
    stock_uri: str

    def ask_with_image(self, path: str, read: Callable[[Any], str]) -> Question:
        """Make a question whose body is the image."""
        return Question(path, self.content_type, self.image, self.label, read)

    def ask_with_base64(self, path: str, key: str, as_list: bool, read: Callable[[Any], str]) -> Question:
        """Make a question with the image as base64 in JSON, under `key`."""
        text = base64.b64encode(self.image.read_bytes()).decode()
        body = self._write(f"{key}.json", json.dumps({key: [text] if as_list else text}))
        return Question(path, JSON, body, self.label, read)

    def ask_with_numbers(self, path: str) -> Question:
        """Make a question with the decoded, resized, scaled pixels as numbers in JSON.

        That is what a client of MLflow's TensorFlow flavor has to do before it sends anything.
        """
        about = json.loads((self.network / "network.json").read_text())
        height, width, channels = about["shape"]
        picture = Image.open(self.image).convert("L" if channels == 1 else "RGB")
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        pixels = (np.asarray(picture).reshape(height, width, channels) - about["mean"]) * about["scale"]
        # Six decimals: a hundredth of the distance between two grey values, at a third of the length.
        numbers = np.round(pixels, 6).tolist()
        body = self._write("numbers.json", json.dumps({"instances": [numbers]}, separators=(",", ":")))
        labels = about["labels"]
        return Question(
            path, JSON, body, self.label, lambda answer: str(labels[int(np.argmax(answer["predictions"][0]))])
        )

    def _write(self, name: str, text: str) -> Path:
        path = self.image.with_name(f"{self.image.stem}-{name}")
        path.write_text(text)
        return path


def write_photo(source: Path, path: Path) -> None:
    """Write a photo of 640x480 as a JPEG of quality 90."""
    file = io.BytesIO()
    Image.open(source).resize(PHOTO_SIZE, Image.Resampling.LANCZOS).save(file, "JPEG", quality=90)
    path.write_bytes(file.getvalue())
