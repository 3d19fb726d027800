"""What a Keras file may hold: layers of Keras itself, and numbers. It is checked before Keras reads it.

A network's configuration can name code to run (a Lambda layer, a function, any class) and files to read (a
vocabulary); HDF5 can point to other files. Keras refuses only some of that, in some formats.
"""

import inspect
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from modelyard.errors import ModelyardError

# They run code, read files, or wrap the code of other libraries.
_REFUSED = frozenset({"Lambda", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer", "Wrapper"}) | {
    *("StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "HashedCrossing"),
}
_MODELS = frozenset({"Functional", "Sequential", "Model"})
# How Keras writes tensors, tuples and types.
_VALUES = frozenset({"__keras_tensor__", "__tuple__", "__numpy__", "__tensor__", "DTypePolicy", "Policy"})
# Operations, and the private layers of keras.applications.
_OWN_MODULES = ("keras.src.ops.numpy", "keras.src.ops.nn", "keras.src.ops.image", "keras.src.applications.")
# A .keras is not compressed; one that grows is an attack on the memory.
_MOST_GROWTH = 4


def check_keras_archive(path: Path) -> None:
    """Raise a ModelyardError if a .keras holds more than layers of Keras and their weights."""
    try:
        with zipfile.ZipFile(path) as whole:
            unpacked = sum(member.file_size for member in whole.infolist())
            if unpacked > _MOST_GROWTH * path.stat().st_size + 1_000_000:
                raise ModelyardError(f"unpacks into {unpacked:,} bytes: refused")
            config = json.loads(whole.read("config.json"))
            weights = whole.read("model.weights.h5")
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ModelyardError(f"expected a whole network as .keras ({error})") from None
    # The training's configuration is not read.
    _check_config({**config, "compile_config": None})
    check_hdf5(io.BytesIO(weights), whole=False)


def check_hdf5(file: Path | io.BytesIO, whole: bool) -> None:
    """Refuse a .h5 that points to other files or, if `whole`, is no network of Keras' own layers."""
    import h5py  # type: ignore[import-untyped]

    try:
        with h5py.File(file, "r") as content:
            _check_links(content)
            config = content.attrs.get("model_config")
    except OSError as error:
        raise ModelyardError(f"expected an HDF5 file ({error})") from None
    if not whole:
        return
    if config is None:
        raise ModelyardError(
            "expected a whole network, got weights alone: name the function of "
            "keras.applications that they belong to in pretrained.architecture"
        )
    _check_config(json.loads(config))


def _check_links(group: Any) -> None:
    import h5py

    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ModelyardError(f"{name!r} points to another place or file: refused")
        member = group[name]
        if isinstance(member, h5py.Group):
            _check_links(member)
        elif isinstance(member, h5py.Dataset) and member.external:
            raise ModelyardError(f"{name!r} lies in another file: refused")


def _check_config(value: Any) -> None:
    if isinstance(value, dict):
        if "class_name" in value and not _is_known(value["class_name"], value.get("module")):
            module = f"{value['module']}." if value.get("module") else ""
            raise ModelyardError(
                f"{module}{value['class_name']} is not among the layers of Keras that only "
                "compute: refused, and not run"
            )
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            _check_config(part)


def _is_known(name: Any, module: Any) -> bool:
    import keras

    if not isinstance(name, str) or not isinstance(module, str | None):
        return False
    if module is not None and module.startswith(_OWN_MODULES):
        part = getattr(sys.modules.get(module), name, None)
        return name not in _REFUSED and inspect.isclass(part) and issubclass(part, keras.Operation)
    if module is not None and module != "keras" and not module.startswith("keras."):
        return False
    homes = (keras.layers, keras.initializers, keras.regularizers, keras.constraints)
    own = any(inspect.isclass(getattr(home, name, None)) for home in homes)
    return name in _MODELS | _VALUES or (own and name not in _REFUSED)
