"""LiteRT interpreters, each used by one thread at a time."""

import os
import queue
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

_NOTICE = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
_first_load = threading.Lock()
_noticed = False


class ModelError(RuntimeError):
    """A LiteRT model cannot be loaded, or gave something that is no answer."""


class LoadedModel:
    """One LiteRT interpreter for single images; not thread-safe.

    LiteRT maps the model's file into memory, so several interpreters share its pages.

    Attributes:
        input_shape: (h, w, c).
        outputs: how many numbers come out.
    """

    def __init__(self, path: Path, threads: int) -> None:
        try:
            with _without_notice():
                self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: LiteRT cannot load it: {str(error).splitlines()[0]}") from None
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        shapes = [tuple(int(size) for size in tensor["shape"]) for tensor in (*inputs, *outputs)]
        types = [tensor["dtype"] for tensor in (*inputs, *outputs)]
        if (len(inputs), len(outputs)) != (1, 1) or [len(shape) for shape in shapes] != [4, 2]:
            raise ModelError(f"{path}: expected one input (1, h, w, c) and one output (1, n), found {shapes}")
        if any(kind is not np.float32 for kind in types) or any(shape[0] != 1 for shape in shapes):
            raise ModelError(f"{path}: expected float32 for one image, found {types} of {shapes}")
        self.input_shape = shapes[0][1:]
        self.outputs = shapes[1][1]
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]

    def run(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what comes out, float32 (1, outputs), for one image (1, h, w, c)."""
        self._interpreter.set_tensor(self._input, image)
        self._interpreter.invoke()
        result: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        return result


class Pool:
    """A fixed number of interpreters of one model; a thread that finds none free waits for one."""

    def __init__(self, path: Path, interpreters: int, threads: int) -> None:
        if interpreters < 1 or threads < 1:
            raise ValueError(
                f"expected at least 1 interpreter and 1 thread, got {interpreters} and {threads}"
            )
        self._free: queue.SimpleQueue[LoadedModel] = queue.SimpleQueue()
        for _ in range(interpreters):
            model = LoadedModel(path, threads)
            self._free.put(model)
        self.input_shape, self.outputs = model.input_shape, model.outputs

    @contextmanager
    def borrow(self) -> Iterator[LoadedModel]:
        """Give one interpreter to this thread alone."""
        model = self._free.get()
        try:
            yield model
        finally:
            self._free.put(model)


@contextmanager
def _without_notice() -> Iterator[None]:
    """Keep LiteRT's notice from stderr; it prints it once, at the first load in a process.

    LiteRT has no switch for it and writes to the file descriptor, so that is set aside meanwhile; whatever
    else was written there is passed on.
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
