"""`modelyard serve` as a user starts it, over a real registry, and what it answers without a thread."""

import base64
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import requests

from modelyard.inference.predictor import Predictor
from modelyard.service.protocols.lanes import is_quick
from service_process import run_serve
from small_registry import SEVEN, SmallRegistry
from tflite_models import digit_bundle, encode


def test_the_champion_of_the_registry_is_served_until_sigterm(tmp_path: Path) -> None:
    registry = SmallRegistry(tmp_path / "registry")
    registry.point(registry.add())
    with run_serve(registry.uri, tmp_path / "copy", "--model", "mnist") as address:
        assert requests.get(f"{address}/readyz", timeout=20).json() == {"ready": True, "problems": []}
        headers = {"Content-Type": "image/png"}
        answer = requests.post(f"{address}/models/mnist/predict", SEVEN, headers=headers, timeout=20).json()
        assert (answer["version"], answer["predictions"][0][0]["label"]) == (1, "7a")
        metrics = requests.get(f"{address}/metrics", timeout=20).text
        assert 'modelyard_loads_total{model="mnist",outcome="loaded",version="1"} 1.0' in metrics


def test_only_small_pngs_are_answered_without_a_thread(tmp_path: Path) -> None:
    predictor = Predictor(digit_bundle(tmp_path / "mnist"))
    small, large = encode(np.zeros((28, 28), np.uint8)), encode(np.zeros((2000, 2000), np.uint8))
    for quick in (small, base64.b64encode(small).decode(), base64.urlsafe_b64encode(small), [[0] * 28] * 28):
        assert is_quick(predictor, [quick], 1000)
    long, broad, square = (encode(np.zeros(shape, np.uint8)) for shape in ((513, 1), (1, 513), (129, 128)))
    for other in (large, base64.b64encode(large).decode(), long, broad, square, b"", "what?", {"a": 1}):
        assert not is_quick(predictor, [other], 1000)
    half = encode(np.zeros((64, 128), np.uint8))
    assert is_quick(predictor, [half] * 2, 1000)
    assert not is_quick(predictor, [half, half, small], 1000)
    assert not is_quick(predictor, [small] * 5, 1000)
    assert not is_quick(predictor, [small], 100_000)


def test_of_a_slow_fit_only_one_image_of_a_digits_size_is_answered_without_a_thread(tmp_path: Path) -> None:
    predictor = Predictor(digit_bundle(tmp_path / "mnist", fit="digit"))
    small, larger = encode(np.zeros((28, 28), np.uint8)), encode(np.zeros((33, 32), np.uint8))
    assert is_quick(predictor, [small], 1000)
    assert not is_quick(predictor, [small] * 2, 1000)
    assert not is_quick(predictor, [larger], 1000)


def test_the_version_is_told_without_a_command() -> None:
    command = [sys.executable, "-m", "modelyard.cli", "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"modelyard \d+\.\d+\.\d+\n", told.stdout)
