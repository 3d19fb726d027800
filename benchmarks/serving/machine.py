"""What a run was made on, in one line."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

PACKAGES = ("tensorflow", "keras", "mlflow", "fastapi", "uvicorn", "ai-edge-litert")


def describe_machine(environments: Mapping[str, Path], packages: Sequence[str] = PACKAGES) -> str:
    """Return processor, memory, date and versions; those of the peers from their own environments."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    versions += [f"{name} {_ask_version(programs, name)}" for name, programs in environments.items()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    system = f"Python {platform.python_version()}"
    return f"{today}; {cores} cores of {_processor()}, {memory}; {', '.join([system, *versions])}"


def measure_others(seconds: float = 1.0) -> float:
    """Return the share of all processors, 0..1, that is in use while nothing of the benchmark runs."""
    return float(psutil.cpu_percent(seconds)) / 100


def _ask_version(programs: Path, name: str) -> str:
    program = f"import importlib.metadata; print(importlib.metadata.version({name!r}))"
    command = [str(programs / "python"), "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
