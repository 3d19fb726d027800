"""Answer many pictures, and write the answers to one file.

Answer the pictures in folders, in a list of files or in a column of a Parquet file, on all processors, and
write their labels and scores to one file. An interrupted run continues where it stopped. Exit code 1: a
picture has no answer; the file says why.
"""

import argparse
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.cli.output import say
from modelyard.errors import ModelyardError, UsageError

if TYPE_CHECKING:
    from modelyard.batch.inputs import Inputs
    from modelyard.tracking.mlflow_types import ModelVersion
    from modelyard.tracking.store import Store

# What the service's image does without.
NEEDED = ("pyarrow", "tqdm")


def add_arguments(command: argparse.ArgumentParser) -> None:
    version = "such as mnist@champion, mnist@3, mnist@ with a run id, or models:/mnist/3"
    command.add_argument("version", metavar="VERSION", help=version)
    inputs = "folders and pictures, or one .parquet file"
    command.add_argument("inputs", metavar="INPUT", nargs="*", type=Path, help=inputs)
    files = "a file with the path of a picture on each line; - is stdin"
    command.add_argument("--files", metavar="LIST", type=Path, help=files)
    out = "the file to write: .parquet, .csv or .jsonl"
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help=out)
    column = "the column of pictures in a .parquet file (default: image)"
    command.add_argument("--column", default="image", metavar="NAME", help=column)
    ids = "the column with the name of each picture (default: the row's number, from 0)"
    command.add_argument("--id", metavar="NAME", help=ids)
    command.add_argument("--workers", type=int, metavar="N", help="processes (default: one per processor)")


def run(given: argparse.Namespace) -> int:
    """Write the answers; return 1 if a picture has none."""
    if bool(given.inputs) == bool(given.files):
        raise UsageError("expected folders, pictures or a .parquet file, or else --files")
    if given.workers is not None and given.workers < 1:
        raise UsageError(f"--workers: expected at least 1, got {given.workers}")
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ModelyardError(f"modelyard predict needs {' and '.join(missing)}: install requirements.txt")
    from modelyard.batch.answering import prepare_workers
    from modelyard.batch.prediction import predict
    from modelyard.inference.runtime.processors import count_processors
    from modelyard.tracking.store import open_store

    prepare_workers()
    store = open_store()
    version = _find_version(store, given.version)
    workers = given.workers or count_processors()
    outcome = predict(store, version, given.out, lambda folder: _find_inputs(given, folder), workers, _watch)
    say(f"{given.out}: {outcome.pictures:,} pictures, answered by {version.name} version {version.version}")
    if outcome.errors:
        counted = f"{outcome.errors:,} of {outcome.pictures:,} pictures have no answer"
        say(f"modelyard: {counted}: the column `error` says why", error=True)
    return int(outcome.errors > 0)


def _find_version(store: "Store", reference: str) -> "ModelVersion":
    from modelyard.registry.versions import find_version, resolve_version

    if reference.startswith("models:/"):
        return resolve_version(store.client, reference)
    name, _, version = reference.partition("@")
    if not version:
        raise UsageError(f"expected NAME@VERSION, such as mnist@champion or mnist@3, got {reference!r}")
    return find_version(store.client, name, version)


def _find_inputs(given: argparse.Namespace, folder: Path) -> "Inputs":
    from modelyard.batch.inputs import PictureFiles, PictureTable, list_files, read_list
    from modelyard.batch.parts import name_parts
    from modelyard.batch.prediction import name_metadata

    tables = [path for path in given.inputs if path.suffix == ".parquet" and not path.is_dir()]
    if tables and len(given.inputs) > 1:
        raise UsageError(f"expected one .parquet file alone, got {len(given.inputs)} inputs")
    if tables:
        return PictureTable(tables[0], given.column, given.id)
    # An output inside a folder of pictures is not one of them.
    ours = [given.out, name_parts(given.out), name_metadata(given.out)]
    paths = read_list(str(given.files)) if given.files else list_files(map(str, given.inputs), ours)
    return PictureFiles(paths, folder / "list")


def _watch(pictures: int, before: int, finished: Iterable[int]) -> None:
    """Show a bar; if stderr is no terminal, print one line."""
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    if before or not terminal:
        begun = f", {before:,} of them answered before" if before else ""
        say(f"predict: {pictures:,} pictures{begun}", error=True)
    with tqdm(None, "predict", pictures, initial=before, unit="picture", disable=not terminal) as bar:
        for count in finished:
            bar.update(count)
