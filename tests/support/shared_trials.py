"""One process for all trials of a worker: to start it takes 0.3 s, and a trial in a fork of it 15 ms."""

import os
import threading
from pathlib import Path

from modelyard.inference.runtime.trial import Trials

# The methods themselves, also while tests see others.
OPEN, CLOSE = Trials.__enter__, Trials.__exit__


class SharedTrials(Trials):
    """Is opened by its first trial, and again where its process has ended or is that of a parent."""

    def __init__(self) -> None:
        self._owner = 0
        self._lock = threading.Lock()

    def run(self, folder: Path) -> None:
        # Threads of one test may try bundles at the same time; each has a process of its own elsewhere.
        with self._lock:
            if self._owner != os.getpid() or self._process.poll() is not None:
                self.close()
                OPEN(self)
                self._owner = os.getpid()
            super().run(folder)

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        """End the process, if there is one."""
        if self._owner == os.getpid():
            CLOSE(self)
            self._owner = 0
