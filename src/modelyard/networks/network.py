"""A network from elsewhere, of any format: it answers as the unchanged original, and can be converted.

A format says how the original runs on one prepared input (`Original`); the steps from pictures to
probabilities are the same for all formats (`Network`).
"""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modelyard.errors import ModelyardError, named
from modelyard.inference.fits import fit_pixels
from modelyard.networks.convert import convert_saved, save_function
from modelyard.networks.inputs import find_layout, normalize
from modelyard.networks.outputs import finish, pool, read_outputs
from modelyard.params import Precision
from modelyard.params.groups.pretrained import Entrance, Exit
from modelyard.quiet import quiet_tensorflow

Pixels: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
# From pixels of any size to a prepared input.
Prepare: TypeAlias = Callable[[Pixels], Floats]
# From tensor to tensor.
Step: TypeAlias = Callable[[Any], Any]
_LONGEST_REASON = 300


class Original(ABC):
    """An opened file, unchanged; `shape` is that of its input, as TensorFlow or a list has it."""

    shape: Any

    @abstractmethod
    def run(self, inputs: Floats) -> Floats:
        """Return the file's output for one prepared input (1, h, w, c), or (1, c, h, w)."""

    @abstractmethod
    def convert(
        self, before: Step, after: Step, shape: tuple[int, int, int], precision: Precision, cut: str | None
    ) -> bytes:
        """Convert the file with one step before it and one after it, up to the tensor or layer `cut`."""

    @abstractmethod
    def up_to(self, cut: str) -> Step:
        """Return a function that runs the file on a prepared input, up to a tensor or layer."""

    def run_picture(self, picture: Pixels, prepare: Prepare) -> Floats:
        """Return the file's output for decoded RGB or grey pixels."""
        return self.run(prepare(picture))

    def run_file(self, content: bytes, prepare: Prepare) -> Floats:
        """Return the file's output for a PNG or JPEG, decoded by TensorFlow."""
        import tensorflow as tf

        return self.run_picture(tf.io.decode_jpeg(content, channels=3).numpy(), prepare)

    def close(self) -> None:  # noqa: B027
        """Free what it holds."""


class FunctionOriginal(Original):
    """An original that is a TensorFlow function."""

    def __init__(self) -> None:
        """Keep each SavedModel on the way to LiteRT: all precisions share it."""
        self._scratch = tempfile.TemporaryDirectory(prefix="modelyard-")
        self._saved: dict[str | None, Path] = {}

    @abstractmethod
    def function(self, cut: str | None) -> tuple[Step, Sequence[Any]]:
        """Return the function up to a tensor or layer (None: the output), and all variables it reads."""

    def up_to(self, cut: str) -> Step:
        """See `Original.up_to`."""
        import tensorflow as tf

        function, _ = self.function(cut)
        return lambda inputs: function(tf.constant(inputs))

    def convert(
        self, before: Step, after: Step, shape: tuple[int, int, int], precision: Precision, cut: str | None
    ) -> bytes:
        """Convert the three steps as one."""
        if cut not in self._saved:
            function, variables = self.function(cut)
            folder = Path(self._scratch.name, str(len(self._saved)))
            save_function(lambda levels: after(function(before(levels))), shape, folder, variables)
            self._saved[cut] = folder
        return convert_saved(self._saved[cut], precision)

    def close(self) -> None:
        """Remove what was saved."""
        self._scratch.cleanup()


class Network:
    """Maps pictures to probabilities as the unchanged original does, and becomes a LiteRT model.

    Every method raises a ModelyardError if the original does not run or convert, or differs from conf/.
    """

    def __init__(self, original: Original, reading: Mapping[str, Any], origin: str) -> None:
        """Wrap an original; `reading` holds the values of conf/ as JSON, `origin` is its name in messages."""
        # The tensors of a frozen graph concern its format alone.
        entrance, exit_ = (
            {key: value for key, value in reading[side].items() if key != "tensor"}
            for side in ("input", "output")
        )
        self._entrance, self._exit = Entrance.model_validate(entrance), Exit.model_validate(exit_)
        self._original, self._features, self._origin = original, reading["features"], origin
        with named(origin):
            self._channels_first = find_layout(original.shape, self._entrance)

    def answer(self, pictures: Sequence[Pixels]) -> Floats:
        """Return probabilities, float32 (n, outputs), for decoded pictures: grey (h, w) or (h, w, 3)."""
        return self._ask(self._original.run_picture, pictures)

    def answer_files(self, files: Sequence[bytes]) -> Floats:
        """Return the same for PNG and JPEG files, decoded by TensorFlow."""
        return self._ask(self._original.run_file, files)

    def convert(self, precision: Precision) -> bytes:
        """Return a LiteRT model: fitted levels 0..255, (1, h, w, c), to probabilities (1, outputs)."""
        return self._convert(lambda scores: finish(scores, self._exit), precision, None)

    def pool(self, picture: Pixels) -> Floats | None:
        """Return the original's pooled features of a picture, float32 (1, n), or None if conf/ names none."""
        if self._features is None:
            return None
        with named(self._origin):
            found = self._original.up_to(self._features)(self._prepare(picture))
        return np.asarray(pool(found, self._channels_first), np.float32)

    def convert_features(self, precision: Precision) -> bytes:
        """Return a LiteRT model from the same input to pooled features, float32 (1, n)."""
        if self._features is None:
            raise ModelyardError(
                f"{self._origin}: expected a tensor or layer to pool, conf/ names none: "
                "set pretrained.features"
            )
        return self._convert(lambda features: pool(features, self._channels_first), precision, self._features)

    def _convert(self, after: Step, precision: Precision, cut: str | None) -> bytes:
        how, first = self._entrance, self._channels_first
        shape = (how.height, how.width, how.channels)
        with named(self._origin), quiet_tensorflow():
            return self._original.convert(
                lambda levels: normalize(levels, how, first), after, shape, precision, cut
            )

    def _prepare(self, picture: Pixels) -> Floats:
        how = self._entrance
        if how.channels == 1 and picture.ndim == 3:
            picture = np.asarray(Image.fromarray(picture).convert("L"))
        fitted = fit_pixels(how.fit, picture, how.height, how.width).astype(np.float32)
        # A grey picture has the same level in all three channels of a colour network.
        levels = np.broadcast_to(fitted, (how.height, how.width, how.channels))[None]
        return np.ascontiguousarray(normalize(levels, how, self._channels_first), np.float32)

    def _ask(self, run: Callable[[Any, Prepare], Floats], questions: Sequence[Any]) -> Floats:
        with named(self._origin):
            try:
                given = [np.asarray(run(question, self._prepare), np.float32) for question in questions]
            except Exception as error:
                # TensorFlow, Keras and LiteRT have a dozen classes of errors; all mean the same here.
                raise ModelyardError(f"the network does not run: {shorten(error)}") from error
            return np.concatenate([read_outputs(scores, self._exit) for scores in given])


def shorten(error: Exception) -> str:
    """Return the first line of an error that says something, without the pages after it."""
    lines = [line.strip() for line in str(getattr(error, "message", error)).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:_LONGEST_REASON]
