"""An imported network of any format, opened."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelyard.errors import ModelyardError, named
from modelyard.networks.formats.frozen_graph import open_frozen_graph
from modelyard.networks.formats.keras_file import open_keras_file
from modelyard.networks.formats.litert_file import LiteRtOriginal
from modelyard.networks.formats.saved_model import SavedModelOriginal
from modelyard.networks.formats.stand_in import open_stand_in
from modelyard.networks.importing.imported import Imported
from modelyard.networks.network import Network, Original
from modelyard.quiet import import_tensorflow, quiet_tensorflow

# Each takes the network's file, and the values of conf/ as JSON.
_OPENERS: dict[str, Callable[[Path, dict[str, Any]], Original]] = {
    "frozen_graph": open_frozen_graph,
    "saved_model": lambda path, _: SavedModelOriginal(path),
    "keras": open_keras_file,
    "litert": lambda path, _: LiteRtOriginal(path),
    "stand_in": lambda path, _: open_stand_in(path),
}


@contextmanager
def open_network(imported: Imported) -> Iterator[Network]:
    """Open the unchanged file of a network, and free its memory afterwards.

    Raises ModelyardError if the file is missing, is not of its format, holds something that is not allowed,
    or its input or tensors are not what conf/ says.
    """
    reading, origin = imported.provenance["reading"], f"{imported.name}/{imported.file.name}"
    if not imported.file.exists():
        raise ModelyardError(f"{imported.file} is missing: run `dvc repro import`")
    import_tensorflow()
    with named(origin), quiet_tensorflow():
        original = _OPENERS[imported.format](imported.file, reading)
    try:
        yield Network(original, reading, origin)
    finally:
        original.close()
