"""A local Spark, run by Debian's Java; without one of the two, tests are skipped, but not in CI."""

import os
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec

import pytest

MISSING = "no Spark: `apt-get install default-jre-headless`, and pip install -r .ci/requirements-spark.txt"


def spark_environment(options: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a script that runs on Spark with two cores; skip the test without Spark."""
    if shutil.which("java") is None or find_spec("pyspark") is None:
        # CI installs both, and must not skip what they are for.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    words = ["--master", "local[2]", "--conf", "spark.ui.enabled=false"]
    for key, value in options.items():
        words += ["--conf", f"{key}={value}"]
    return os.environ | {
        "PYSPARK_SUBMIT_ARGS": " ".join([*words, "pyspark-shell"]),
        # Workers are started by name otherwise, and find another Python.
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
