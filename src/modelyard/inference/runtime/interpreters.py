"""LiteRT interpreters, each used by one thread at a time."""

import os
import queue
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from modelyard.inference.plain_text import show

_NOTICE = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
_first_load = threading.Lock()
_noticed = False


class ModelError(RuntimeError):
    """A LiteRT model cannot be loaded, or its output is not an answer."""


class LoadedModel:
    """One LiteRT interpreter for single images; not thread-safe.

    Interpreters of one model share its bytes. The file is not mapped into memory, because truncating it would
    then end the process; the memory used is the same (measured: 95 MB with 22 MB of int8, either way).

    Args:
        model: the content of a LiteRT file.
        threads: of this interpreter.

    Attributes:
        input_shape: (h, w, c).
        outputs: the number of values in an answer.

    Raises:
        ModelError: LiteRT cannot load it, or its input is not one image.
    """

    def __init__(self, model: bytes, threads: int) -> None:
        try:
            with _without_notice():
                self._interpreter = Interpreter(model_content=model, num_threads=threads)
                self._interpreter.allocate_tensors()
            inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except Exception as error:  # a damaged file brings any: ValueError, RuntimeError, KeyError, TypeError
            raise ModelError(f"LiteRT cannot load it: {show(error)}") from None
        shapes = [tuple(int(size) for size in tensor["shape"]) for tensor in (*inputs, *outputs)]
        types = [tensor["dtype"] for tensor in (*inputs, *outputs)]
        if (len(inputs), len(outputs)) != (1, 1) or [len(shape) for shape in shapes] != [4, 2]:
            raise ModelError(f"expected one input (1, h, w, c) and one output (1, n), found {show(shapes)}")
        if any(kind is not np.float32 for kind in types) or any(shape[0] != 1 for shape in shapes):
            raise ModelError(f"expected float32 for one image, found {types} of {shapes}")
        self.input_shape = shapes[0][1:]
        self.outputs = shapes[1][1]
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]

    def run(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the output, float32 (1, outputs), for one image (1, h, w, c).

        Raises:
            ModelError: LiteRT fails, or the output's shape is not the one that the model's file states.
        """
        try:
            self._interpreter.set_tensor(self._input, image)
            self._interpreter.invoke()
            result: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"LiteRT fails: {show(error)}") from None
        if result.shape != (1, self.outputs):
            raise ModelError(f"expected {self.outputs} numbers from the model, got {result.shape}")
        return result


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
