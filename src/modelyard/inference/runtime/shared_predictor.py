"""One predictor for all loads of a bundle in a process.

A Python worker of Spark loads the MLflow model for each of its tasks, of which a table may have thousands.
"""

import threading
from pathlib import Path

from modelyard.inference.bundle import read_bundle
from modelyard.inference.predictor import Predictor

_lock = threading.Lock()
_last: Predictor | None = None


def share_predictor(folder: Path) -> Predictor:
    """Return the predictor that was asked for last if the bundle has the same content, else a new one.

    Raises BundleError if the folder is no bundle that can answer.
    """
    global _last
    bundle = read_bundle(folder)
    with _lock:
        if _last is None or _last.bundle.content_key != bundle.content_key:
            _last = Predictor(bundle)
        return _last
