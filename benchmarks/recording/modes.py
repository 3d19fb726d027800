"""The same service in several modes: without a record, with one, with all pictures, and with a shadow.

A second service without a record shows how much two equal ones differ.
"""

import sys
from pathlib import Path

from benchmarks.serving.networks import DIGIT
from benchmarks.serving.processes import PORT, Launch
from benchmarks.serving.questions import MNIST, Question
from benchmarks.serving.servers import read_best
from modelyard.errors import ModelyardError
from modelyard.images.pictures import read_pictures

OFF, AGAIN, ON, PICTURES, SHADOW = "off", "again", "on", "pictures", "shadow"
# In the order of tables.
TITLES = {
    OFF: "off",
    AGAIN: "off, another one",
    ON: "on",
    PICTURES: "on, all pictures kept",
    SHADOW: "on, with a shadow",
}
CHALLENGER = "challenger"
ADDED = {PICTURES: ("--record-images", "1.0"), SHADOW: ("--shadow", CHALLENGER)}
TRAINING, SOURCE = Path("data/train.npz"), Path("data/source")
# Three times what a service remembers of the pictures that it wrote: each that comes again is written again.
MOST_PICTURES = 30_000


def find_versions(registry: str) -> str:
    """Name champion and challenger, such as "mnist 1, its shadow 3"; refuse a registry that lacks one."""
    from mlflow import MlflowClient

    client = MlflowClient(registry, registry)
    aliases = {model.name: model.aliases for model in client.search_registered_models()}.get(MNIST, {})
    champion, challenger = aliases.get("champion"), aliases.get(CHALLENGER)
    if champion is None or challenger in (None, champion):
        told = "`make repro` makes the first version, `dvc exp run -S train.seed=2` another one"
        raise ModelyardError(f"expected a champion of {MNIST} and a challenger beside it: {told}")
    return f"{MNIST} {champion}, its shadow {challenger}"


def read_files() -> list[bytes]:
    """Read the files that all modes are asked about, one after the other: digits to train on."""
    if not TRAINING.is_file():
        raise ModelyardError(f"{TRAINING} is missing, which `make repro` makes: run it first")
    pictures = read_pictures(TRAINING, SOURCE)
    return [pictures.file(place) for place in range(min(len(pictures), MOST_PICTURES))]


def launch_modes(registry: str, scratch: Path) -> dict[str, Launch]:
    """Return how the service is started in each mode; `scratch` (absolute) has a folder for each."""
    question = Question(f"/models/{MNIST}/predict", "image/png", DIGIT.absolute(), DIGIT.stem[-1], read_best)
    serve = (sys.executable, "-m", "modelyard.cli", "serve", "--model", MNIST, "--port", PORT)
    launches = {}
    for mode in TITLES:
        record = (
            () if mode in (OFF, AGAIN) else ("--record", str(scratch / mode / "place"), *ADDED.get(mode, ()))
        )
        command = (*serve, "--copy", str(scratch / mode / "copy"), *record)
        environment = {"MLFLOW_TRACKING_URI": registry}
        launches[mode] = Launch(f"recording-{mode}", command, {MNIST: question}, environment)
    return launches
