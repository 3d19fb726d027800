"""TensorFlow's output, held back unless something goes wrong."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from modelyard.errors import ModelyardError
from modelyard.imports import left_out, without_collecting


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Hold back stdout and stderr of the whole process, C++ libraries included.

    TensorFlow's C++ parts write to the file descriptors, whatever its log levels say. If the body fails with
    an unexpected error, everything held back goes to stderr; a `ModelyardError` says enough.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = (os.dup(1), os.dup(2))
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 1)
        os.dup2(held.fileno(), 2)
        show = False
        try:
            yield
        except BaseException as error:
            show = not isinstance(error, ModelyardError)
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in enumerate(saved, 1):
                os.dup2(copy, number)
                os.close(copy)
            if show:
                held.seek(0)
                with open(2, "wb", closefd=False) as stderr:
                    shutil.copyfileobj(held, stderr)


def import_tensorflow(look_for_devices: bool = True) -> None:
    """Import TensorFlow and Keras, for the CPU only and in silence; later imports are quiet then.

    Devices may be looked for only after the workers of one training have joined.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    # What is made later, such as the networks of a sweep, may become garbage.
    collecting = nullcontext() if "tensorflow" in sys.modules else without_collecting()
    # Keras would take a quarter of the time to import two packages for wrappers that nothing here uses.
    with quiet_tensorflow(), collecting, left_out("matplotlib", "sklearn"):
        import keras  # noqa: F401
        import tensorflow as tf

        if look_for_devices:
            # TensorFlow does it at the first use, with a message for each that is missing.
            tf.constant(0)
