"""From many pictures to one file of answers; a run goes on where an earlier one was ended."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from modelyard.batch.answering import answer_chunks
from modelyard.batch.formats import TABLE, TABLE_VERSION, choose_format
from modelyard.batch.inputs import Inputs
from modelyard.batch.parts import Part, begin, find_parts, hold_parts
from modelyard.batch.worker import Task
from modelyard.errors import ModelyardError
from modelyard.files import replace_file, write_json
from modelyard.inference.bundle import Bundle, BundleError
from modelyard.inference.runtime.processors import SMALL_BYTES
from modelyard.inference.runtime.trial import try_bundle
from modelyard.registry.artifacts import fetch_bundle
from modelyard.tracking.mlflow_types import ModelVersion
from modelyard.tracking.store import Store

# Pictures in a chunk, of small networks and of large ones: at most a second of work, which is lost when a run
# is ended, and for which the others may have to wait at the end.
CHUNK_ROWS, LARGE_CHUNK_ROWS = 512, 16

# Shows progress: is given the number of all pictures, that of those answered before, and then the numbers of
# pictures in the chunks as they are finished.
Watch = Callable[[int, int, Iterable[int]], None]


@dataclass(frozen=True)
class Outcome:
    """What was written: the number of pictures, those without an answer, those answered by an earlier run."""

    pictures: int
    errors: int
    before: int


def predict(
    store: Store,
    version: ModelVersion,
    output: Path,
    find_inputs: Callable[[Path], Inputs],
    workers: int,
    watch: Watch,
) -> Outcome:
    """Write the answers of a version to a file, which appears whole or not at all.

    The suffix of `output` chooses the format. `find_inputs` may keep files in the folder that it is given.

    Raises:
        ModelyardError: the version cannot answer, there are no pictures, or a worker was ended.
        UsageError: a run for this output was begun in another way, and not finished.
        OSError: the output cannot be written.
    """
    choose_format(output)
    with hold_parts(output) as folder:
        bundle = _fetch(store, version, folder / "version")
        answered_by = {"model": version.name, "version": str(version.version), "digest": bundle.content_key}
        inputs = find_inputs(folder)
        run = {**answered_by, "pictures": inputs.identity, "format": output.suffix}
        facts = begin(folder, run, {"chunk_rows": choose_rows(bundle), "started": _now()})
        parts = find_parts(folder)
        before = _count_pictures(parts)
        chunks = inputs.chunk(facts["chunk_rows"], tuple(parts))
        finished = answer_chunks(Task(bundle.folder, folder, output, inputs.key), chunks, workers)
        watch(inputs.count, before, _keep(finished, parts))
        if _count_pictures(parts) != inputs.count:
            raise ModelyardError(
                f"{folder}: expected answers to {inputs.count} pictures: remove it, and run again"
            )
        outcome = Outcome(inputs.count, sum(part.errors for part in parts.values()), before)
        about = {**answered_by, "started": facts["started"], "finished": _now()}
        about |= {"pictures": str(outcome.pictures), "errors": str(outcome.errors)}
        _join(parts, output, inputs.key, about)
        shutil.rmtree(folder)
    return outcome


def choose_rows(bundle: Bundle) -> int:
    """Return how many pictures a worker answers at a time."""
    return CHUNK_ROWS if bundle.size_bytes < SMALL_BYTES else LARGE_CHUNK_ROWS


def _fetch(store: Store, version: ModelVersion, folder: Path) -> Bundle:
    """Return the version's bundle, verified and tried, in a folder that is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    bundle = fetch_bundle(store, version, folder)
    try:
        try_bundle(bundle.folder)
    except BundleError as error:
        raise ModelyardError(f"models:/{version.name}/{version.version}: {error}") from None
    return bundle


def _keep(finished: Iterable[tuple[int, Part]], parts: dict[int, Part]) -> Iterator[int]:
    for number, part in finished:
        parts[number] = part
        yield part.pictures


def _count_pictures(parts: Mapping[int, Part]) -> int:
    return sum(part.pictures for part in parts.values())


def _join(parts: Mapping[int, Part], output: Path, key: str, about: Mapping[str, str]) -> None:
    format_ = choose_format(output)
    metadata = {TABLE: TABLE_VERSION, **{f"modelyard.{key}": value for key, value in about.items()}}
    with replace_file(output) as new:
        format_.join((parts[number].path for number in sorted(parts)), new, key, metadata)
        if not format_.holds_metadata:
            write_json(name_metadata(output), metadata)


def name_metadata(output: Path) -> Path:
    """Return the file for the metadata of an output that has no place for them."""
    return output.with_name(f"{output.name}-metadata.json")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
