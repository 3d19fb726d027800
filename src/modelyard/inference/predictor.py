"""Answers: images in, ranked labels out."""

import io
import math
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modelyard.inference.bundle import Bundle, BundleError
from modelyard.inference.decoding.arrays import read_array
from modelyard.inference.decoding.images import ImageError, Limits, decode
from modelyard.inference.decoding.pixels import encode_png
from modelyard.inference.fits import OF_DRAWINGS, fit_pixels
from modelyard.inference.ranking import find_best, find_named
from modelyard.inference.runtime.interpreters import Given, ModelError, Pool
from modelyard.inference.runtime.processors import MOST_INTERPRETERS, choose_pool

Answer = list[dict[str, Any]]
DEFAULT_TOP_K = 5
DEFAULT_LIMITS = Limits()
MISFIT = "its model does not fit its labels or its preprocessing"


class Seen(NamedTuple):
    """An image that was answered.

    Attributes:
        place: in the request, from 0.
        image: bytes or base64 text as given; of anything else the pixels, uint8 (h, w) or (h, w, 3).
        shape: of its pixels: (h, w), or (h, w, 3) in RGB.
        ready: what the model was given, float32 (h, w, c).
        scores: what the model gave, float32 (outputs,).
        unlikeness: see `Given`.
        seconds: from the image to its scores.
    """

    place: int
    image: bytes | str | NDArray[np.uint8]
    shape: tuple[int, ...]
    ready: NDArray[np.float32]
    scores: NDArray[np.float32]
    unlikeness: float | None
    seconds: float


# Told of each image after its answer; of None where it cannot be read.
Observe = Callable[[Seen | None], None]


class Predictor:
    """A bundle, loaded. Every method may be called by several threads at once.

    An answer never depends on what else is asked at the same time: images go through the model one by one,
    which costs a small network no more than a batch of them, and a large one neither.

    `interpreters` images are in the model at once, each with `threads` threads; each interpreter costs memory
    for the weights again. None chooses by the model's size and the processors. Raises BundleError if the
    model's input or output does not fit the bundle's preprocessing or labels.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        interpreters: int | None = None,
        threads: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.bundle = bundle
        self.limits = limits
        chosen = choose_pool(bundle.size_bytes)
        try:
            self._pool = Pool(
                bundle.read_model(),
                interpreters=chosen[0] if interpreters is None else interpreters,
                threads=chosen[1] if threads is None else threads,
            )
        except ModelError as error:
            raise BundleError(f"{bundle.model_path}: {error}", "LiteRT cannot load its model") from None
        _check_shapes(bundle, self._pool)
        self._answered = find_named(label.name for label in bundle.labels)

    def decode(self, image: Any, ends_at: float = math.inf) -> NDArray[np.uint8]:
        """Return an image's pixels before any resize: grey (h, w) or RGB (h, w, 3), as the model wants them.

        `image` is the bytes of a PNG or JPEG, their base64 text, or numbers (see `arrays.read_array`). Raises
        ImageError, with the index 0, if it cannot be read, and TimeoutError past `ends_at`, a
        `time.monotonic()`.
        """
        how = self.bundle.preprocessing
        if isinstance(image, np.ndarray | list | tuple):
            return read_array(image, how.height, how.width, how.channels)
        return decode(image, self.limits, how.channels == 1, ends_at, how.fit in OF_DRAWINGS)

    def prepare(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Make the model's input, float32 (h, w, c) in C order, of what `decode` returns."""
        how = self.bundle.preprocessing
        ready = np.ascontiguousarray(fit_pixels(how.fit, pixels, how.height, how.width), np.float32)
        if (how.mean, how.scale) != (0.0, 1.0):
            ready -= np.float32(how.mean)
            ready *= np.float32(how.scale)
        return ready

    def draw_input(self, ready: NDArray[np.float32]) -> bytes:
        """Draw what `prepare` made: a PNG, grey or RGB, of the levels that the fit gave, rounded."""
        how = self.bundle.preprocessing
        levels = np.rint(how.levels(ready)).clip(0, 255).astype(np.uint8)
        return encode_png(levels[:, :, 0] if how.channels == 1 else levels)

    def preprocess(self, image: Any, ends_at: float = math.inf) -> NDArray[np.float32]:
        """Decode and prepare in one step; raises errors as `decode` does."""
        return self._read(image, ends_at)[0]

    def ask(self, ready: NDArray[np.float32]) -> Given:
        """Return what the model gives for one input (h, w, c) from `prepare`.

        Raises ValueError if the input has another shape, and ModelError if the model gave NaN or infinity.
        """
        if ready.shape != self._pool.input_shape:
            raise ValueError(f"expected an input {self._pool.input_shape}, got {ready.shape}")
        # Borrowed for each image, so that a large batch does not hold up the others.
        with self._pool.borrow() as model:
            given = model.run(np.ascontiguousarray(ready, np.float32)[None])
        if not (np.isfinite(given.scores).all() and math.isfinite(given.unlikeness or 0.0)):
            raise ModelError(f"{self.bundle.name}: the model gave NaN or infinity, which is no answer")
        return given

    @property
    def tells_unlikeness(self) -> bool:
        """Whether answers say how unlike the training pictures an image is."""
        return self._pool.tells_unlikeness

    def predict(
        self,
        images: Iterable[Any],
        top_k: int = DEFAULT_TOP_K,
        on_error: Literal["raise", "return"] = "raise",
        ends_at: float = math.inf,
        observe: Observe | None = None,
    ) -> list[Answer | dict[str, str]]:
        """Answer each image with its ranked labels.

        Args:
            images: each as `decode` takes it.
            top_k: how many labels, from 1 to all that have a name (5 is allowed where there are fewer).
            on_error: "raise" fails all for one that cannot be read; "return" puts `{"error": "image 3: ..."}`
                in its place.
            ends_at: `time.monotonic()` at which to give up, within an image or between two.
            observe: is told of each image, after it is answered.

        Returns:
            For each image `[{"label": "7", "score": 0.9994, "id": 7}, ...]`, best first, the lower id first
            where scores are equal, with "synset" where the label has one. Scores are rounded to 7 decimals.
            If the model tells it, the first has "unlikeness" too (see `Given`), rounded to 4.

        Raises:
            ImageError: an image cannot be read, and `on_error` is "raise".
            ValueError: `top_k` or `on_error` is out of range.
            TypeError: one image was given instead of a list.
            ModelError: the model gave NaN or infinity.
            TimeoutError: it is past `ends_at`.
        """
        count = self._check_top_k(top_k)
        if on_error not in ("raise", "return"):
            raise ValueError(f"on_error must be 'raise' or 'return', got {type(on_error).__name__}")
        if isinstance(images, str | bytes):
            raise TypeError("expected a list of images, got a single one")
        answers: list[Answer | dict[str, str]] = []
        for index, image in enumerate(images):
            seen: Seen | None = None
            try:
                answer, seen = self._answer(index, image, count, ends_at)
                answers.append(answer)
            except ImageError as error:
                if on_error == "raise":
                    raise error.at(index) from error
                answers.append({"error": str(error.at(index))})
            if observe is not None:
                observe(seen)
        return answers

    def warm_up(self) -> None:
        """Answer a picture, half light and half dark, once with every interpreter: they take turns.

        Raises BundleError if the model cannot.
        """
        how = self.bundle.preprocessing
        picture = Image.new("L", (how.width, how.height))
        picture.paste(255, (0, 0, how.width // 2, how.height))
        stream = io.BytesIO()
        picture.save(stream, "PNG" if how.channels == 1 else "JPEG")
        try:
            self.predict([stream.getvalue()] * MOST_INTERPRETERS)
        except ModelError as error:
            raise BundleError(f"{self.bundle.folder}: {error}", "its model gives no answer") from None

    def rank(self, given: Given, count: int) -> Answer:
        """Return the `count` best labels of an image, as `predict` does."""
        best = find_best(given.scores, self._answered, count)
        answer = [self._describe(int(place), float(given.scores[place])) for place in best]
        if given.unlikeness is not None:
            answer[0]["unlikeness"] = round(given.unlikeness, 4)
        return answer

    def _answer(self, index: int, image: Any, count: int, ends_at: float) -> tuple[Answer, Seen]:
        started = time.monotonic()
        if started > ends_at:
            raise TimeoutError
        ready, shape, kept = self._read(image, ends_at)
        given = self.ask(ready)
        answer = self.rank(given, count)
        return answer, Seen(index, kept, shape, ready, *given, time.monotonic() - started)

    def _read(
        self, image: Any, ends_at: float
    ) -> tuple[NDArray[np.float32], tuple[int, ...], bytes | str | NDArray[np.uint8]]:
        """Return the model's input, the shape of its pixels, and the image as `Seen` has it.

        The pixels of a file are let go: they may take much memory.
        """
        pixels = self.decode(image, ends_at)
        return self.prepare(pixels), pixels.shape, image if isinstance(image, bytes | str) else pixels

    def _check_top_k(self, top_k: Any) -> int:
        most = max(len(self._answered), DEFAULT_TOP_K)
        # True is a number to Python, and a slip of the caller's.
        whole = isinstance(top_k, int | np.integer) and not isinstance(top_k, bool)
        if not whole or not 1 <= top_k <= most:
            shown = top_k if whole else type(top_k).__name__
            raise ValueError(f"top_k must be a whole number from 1 to {most}, got {shown}")
        return int(top_k)

    def _describe(self, place: int, score: float) -> dict[str, Any]:
        label = self.bundle.labels[place]
        answer = {"label": label.name, "score": round(score, 7), "id": place}
        return answer if label.synset is None else {**answer, "synset": label.synset}


def _check_shapes(bundle: Bundle, pool: Pool) -> None:
    how = bundle.preprocessing
    expected = (how.height, how.width, how.channels)
    if pool.input_shape != expected:
        raise BundleError(
            f"{bundle.folder}: preprocessing makes {expected}, the model takes {pool.input_shape}", MISFIT
        )
    if pool.outputs != len(bundle.labels):
        raise BundleError(
            f"{bundle.folder}: {len(bundle.labels)} labels for a model with {pool.outputs} outputs", MISFIT
        )
