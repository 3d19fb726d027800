"""LiteRT interpreters, each used by one thread at a time."""

import os
import queue
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from modelyard.inference.plain_text import show

_NOTICE = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
_first_load = threading.Lock()
_noticed = False


class ModelError(RuntimeError):
    """A LiteRT model cannot be loaded, or its output is not an answer."""


class Given(NamedTuple):
    """What a model gave for one image.

    Attributes:
        scores: float32 (outputs,).
        unlikeness: 0..1, the share of validation pictures that are more like the training pictures than this
            one; None if the model does not tell.
    """

    scores: NDArray[np.float32]
    unlikeness: float | None


class LoadedModel:
    """One LiteRT interpreter for single images, made of the content of a file; not thread-safe.

    Interpreters of one model share its bytes. The file is not mapped into memory, because truncating it would
    then end the process; the memory used is the same (measured: 95 MB with 22 MB of int8, either way).

    Attributes:
        input_shape: (h, w, c).
        outputs: the number of scores.
        tells_unlikeness: it has a second output, (1, 1), for `Given.unlikeness`.

    Raises ModelError if LiteRT cannot load it, or its input is not one image.
    """

    def __init__(self, model: bytes, threads: int) -> None:
        try:
            with _without_notice():
                self._interpreter = Interpreter(model_content=model, num_threads=threads)
                self._interpreter.allocate_tensors()
            inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except Exception as error:  # a damaged file brings any: ValueError, RuntimeError, KeyError, TypeError
            raise ModelError(f"LiteRT cannot load it: {show(error)}") from None
        # The converter may list them in any order; at least two labels have scores.
        outputs = sorted(outputs, key=lambda tensor: -int(np.prod(tensor["shape"])))
        shapes = [tuple(int(size) for size in tensor["shape"]) for tensor in (*inputs, *outputs)]
        types = [tensor["dtype"] for tensor in (*inputs, *outputs)]
        told = shapes[2:]
        if len(inputs) != 1 or [len(one) for one in shapes[:2]] != [4, 2] or told not in ([], [(1, 1)]):
            raise ModelError(
                "expected one input (1, h, w, c), one output (1, n) and perhaps another (1, 1), "
                f"found {show(shapes)}"
            )
        if any(kind is not np.float32 for kind in types) or any(shape[0] != 1 for shape in shapes):
            raise ModelError(f"expected float32 for one image, found {types} of {shapes}")
        self.input_shape = shapes[0][1:]
        self.outputs = shapes[1][1]
        self.tells_unlikeness = bool(told)
        self._input, self._places = inputs[0]["index"], [tensor["index"] for tensor in outputs]

    def run(self, image: NDArray[np.float32]) -> Given:
        """Return what the model gives for one image (1, h, w, c).

        Raises ModelError if LiteRT fails, or an output's shape is not the one that the model's file states.
        """
        try:
            self._interpreter.set_tensor(self._input, image)
            self._interpreter.invoke()
            given = [self._interpreter.get_tensor(place) for place in self._places]
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"LiteRT fails: {show(error)}") from None
        if given[0].shape != (1, self.outputs):
            raise ModelError(f"expected {self.outputs} numbers from the model, got {given[0].shape}")
        if not self.tells_unlikeness:
            return Given(given[0][0], None)
        if given[1].shape != (1, 1):
            raise ModelError(f"expected one number from the model's second output, got {given[1].shape}")
        return Given(given[0][0], float(given[1][0, 0]))


class Pool:
    """A fixed number of interpreters of one model; a thread waits until one is free."""

    def __init__(self, content: bytes, interpreters: int, threads: int) -> None:
        if interpreters < 1 or threads < 1:
            raise ValueError(
                f"expected at least 1 interpreter and 1 thread, got {interpreters} and {threads}"
            )
        self._free: queue.SimpleQueue[LoadedModel] = queue.SimpleQueue()
        for _ in range(interpreters):
            model = LoadedModel(content, threads)
            self._free.put(model)
        self.input_shape, self.outputs = model.input_shape, model.outputs
        self.tells_unlikeness = model.tells_unlikeness

    @contextmanager
    def borrow(self) -> Iterator[LoadedModel]:
        """Lend one interpreter to this thread alone."""
        model = self._free.get()
        try:
            yield model
        finally:
            self._free.put(model)


@contextmanager
def _without_notice() -> Iterator[None]:
    """Keep LiteRT's notice off stderr, which it prints at the first load in a process.

    LiteRT has no switch for it and writes to the file descriptor, so the descriptor is redirected meanwhile;
    anything else that was written there is passed on.
    """
    global _noticed
    with _first_load:
        if _noticed:
            yield
            return
        with tempfile.TemporaryFile() as aside:
            sys.stderr.flush()
            stderr = os.dup(2)
            os.dup2(aside.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(stderr, 2)
                os.close(stderr)
                _noticed = True
                aside.seek(0)
                if others := aside.read().replace(_NOTICE, b""):
                    os.write(2, others)
