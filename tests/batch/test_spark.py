"""The script of docs/batch.md on a real Spark: the same answers as `modelyard predict`, and few loads."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import mlflow
import numpy as np
import pytest
from pyarrow import parquet

from conftest import ROOT
from modelyard.cli.main import main
from modelyard.inference.predictor import Predictor
from modelyard.registry.publishing.logged_model import model_arguments
from small_registry import SmallRegistry
from spark import MISSING, spark_environment
from tflite_models import digit_bundle, draw_band, encode

PICTURES = 2000
# Makes every Python process write down its id whenever it makes an interpreter.
COUNTED = """
import os
from ai_edge_litert.interpreter import Interpreter

make = Interpreter.__init__

def count(self, *args, **kwargs):
    with open({log!r}, "a") as log:
        log.write(f"{{os.getpid()}}\\n")
    make(self, *args, **kwargs)

Interpreter.__init__ = count
"""


def write_pictures(folder: Path) -> None:
    """Write noisy digits, in folders; one of a hundred is broken in one of four ways."""
    chance = np.random.default_rng(0)
    broken = (b"\xff\xd8\xff", b"no picture", b"GIF89a", encode(draw_band(3))[:-30])
    for number in range(PICTURES):
        noise = chance.integers(0, 120, (28, 28), dtype=np.uint8)
        file = encode(np.maximum(draw_band(number % 10), noise))
        path = folder / str(number % 7) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(broken[number // 100 % 4] if number % 100 == 50 else file)


def register(folder: Path) -> tuple[str, int]:
    """Register a version as the pipeline does; return the registry, and how many interpreters it has."""
    registry, bundle = SmallRegistry(folder / "registry"), digit_bundle(folder / "bundle")
    with mlflow.start_run():
        arguments = model_arguments(bundle, folder / "code")
        mlflow.pyfunc.log_model(name="mnist", registered_model_name="mnist", **arguments)
    registry.client.set_model_version_tag("mnist", "1", "content_key", bundle.content_key)
    return registry.uri, Predictor(bundle)._pool._free.qsize()


# Half a minute alone; many minutes on a busy machine, since Spark and its workers need more than two cores.
@pytest.mark.timeout(1200)
def test_the_script_of_the_docs_answers_as_predict_does_and_loads_the_model_once_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several tasks for each worker, of several batches each.
    options = {
        "spark.sql.files.maxPartitionBytes": "1m",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "50",
    }
    environment = spark_environment(options)
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "pictures")
    Path("pictures/empty.png").touch()
    uri, interpreters = register(tmp_path)
    Path("counted").mkdir()
    Path("counted/sitecustomize.py").write_text(COUNTED.format(log=str(tmp_path / "loads")))
    [script] = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs/batch.md").read_text(), re.MULTILINE | re.DOTALL
    )
    Path("answers.py").write_text(script)
    environment["MLFLOW_TRACKING_URI"] = uri
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "counted"), *filter(None, sys.path)])
    ended = subprocess.run(
        [sys.executable, "answers.py", "pictures", "answers"], env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert main(["predict", "mnist@1", "pictures", "--out", "alone.parquet", "--workers", "1"]) == 1

    alone = {str(tmp_path / row["path"]): row for row in parquet.read_table("alone.parquet").to_pylist()}
    # Spark leaves out empty files, as the docs say.
    assert alone.pop(str(tmp_path / "pictures/empty.png"))["error"] == "empty"
    spark = {row["path"].removeprefix("file:"): row for row in parquet.read_table("answers").to_pylist()}
    assert spark.keys() == alone.keys()
    assert len(spark) == PICTURES
    assert sum(row["error"] is not None for row in spark.values()) == PICTURES // 100
    for path, row in spark.items():
        own = alone[path]
        assert (row["label"], row["error"]) == (own["label"], own["error"])
        if own["error"] is None:
            assert row["labels"] == [own["label"], *own["next_labels"]]
            assert np.float32(row["scores"]).tolist() == [own["score"], *own["next_scores"]]
    assert len(list(Path("answers").glob("*.parquet"))) > 4
    loads = Counter(Path("loads").read_text().split())
    assert set(loads.values()) == {interpreters}
    assert len(loads) <= 3


@pytest.mark.parametrize(
    ("settings", "outcome"), [({}, pytest.skip.Exception), ({"CI": "true"}, pytest.fail.Exception)]
)
def test_tests_without_spark_are_skipped_but_not_in_ci(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str], outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(outcome, match=re.escape(MISSING)):
        spark_environment({})
