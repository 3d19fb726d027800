"""Answer over HTTP, following the registry.

Answer over HTTP with the champions of the registry at MLFLOW_TRACKING_URI. With the environment variable
MODELYARD_TOKEN set, requests must carry that bearer token.
"""

import argparse
import hashlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError, UsageError
from modelyard.service.settings import LIMITS, TOKEN, Settings

if TYPE_CHECKING:
    from modelyard.service.models.models import Models
    from modelyard.service.recording.options import RecordingOptions


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    # Two options have no default here: their help says what happens without them.
    unset = argparse.SUPPRESS
    names = "a model to serve, the first is the default; can be repeated (default: all)"
    command.add_argument("--model", action="append", default=unset, metavar="NAME", help=names)
    command.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0: all")
    command.add_argument(
        "--port", type=partial(_read_number, 0, 65_535), default=8080, help="port to listen on; 0: a free one"
    )
    command.add_argument(
        "--workers", type=partial(_read_number, 1, 64), default=1, help="processes, each with its own models"
    )
    copy = "folder for the local copy of the served bundles (default: in the user's cache)"
    command.add_argument("--copy", type=Path, default=unset, metavar="FOLDER", help=copy)
    _add_recording(command)
    for name, limit in LIMITS.items():
        option, default = f"--{name.replace('_', '-')}", getattr(Settings, name)
        command.add_argument(option, type=type(default), default=default, metavar="N", help=limit["about"])


def make_models(names: tuple[str, ...], folder: Path, settings: Settings) -> "Models":
    """Make the models of one process, with their local copy in `folder`; no names stand for all models."""
    from modelyard.inference.decoding.images import Limits
    from modelyard.service.models.local_copy import LocalCopy
    from modelyard.service.models.models import Models
    from modelyard.service.models.registry_database import open_source
    from modelyard.tracking.address import tracking_uri, web_address

    uri, limits = tracking_uri(), Limits(max_pixels=settings.max_pixels)
    return Models(
        open_source(uri), LocalCopy(folder), names, settings.poll_s, limits=limits, mlflow=web_address(uri)
    )


def run(given: argparse.Namespace) -> None:
    """Serve until a signal comes."""
    try:
        limits = {name: getattr(given, name) for name in LIMITS}
        settings = Settings(**limits, token=os.environ.get(TOKEN))
    except ValueError as error:
        raise ModelyardError(str(error)) from None
    from modelyard.service.server import serve
    from modelyard.tracking.address import tracking_uri

    # A wrong address of the registry is reported here once, not by every process.
    uri, names = tracking_uri(), tuple(vars(given).get("model", ()))
    copy = vars(given).get("copy") or _choose_copy(uri, names)
    factory, recording = partial(make_models, names, copy, settings), _read_recording(given)
    serve(
        factory,
        host=given.host,
        port=given.port,
        workers=given.workers,
        settings=settings,
        recording=recording,
    )


def _add_recording(command: argparse.ArgumentParser) -> None:
    """Add the options that say what is recorded."""
    unset = argparse.SUPPRESS
    place = (
        "record each answer in this folder or s3://bucket/prefix, and take labels (default: nothing is kept)"
    )
    command.add_argument("--record", default=unset, metavar="PLACE", help=place)
    share = "also keep the files of this share of the pictures, 0 to 1; they may be personal data"
    command.add_argument("--record-images", type=_read_share, default=0.0, metavar="SHARE", help=share)
    alias = "record what the versions with this alias, such as challenger, answer to the same pictures"
    command.add_argument("--shadow", default=unset, metavar="ALIAS", help=alias)


def _read_recording(given: argparse.Namespace) -> "RecordingOptions | None":
    place, shadow = vars(given).get("record"), vars(given).get("shadow")
    if place is None:
        if given.record_images or shadow is not None:
            raise UsageError("--record-images and --shadow add to a record: name its place with --record")
        return None
    from modelyard.monitoring.tables.places import open_place
    from modelyard.service.recording.options import RecordingOptions

    # A wrong place is reported here once, not by every process.
    open_place(place)
    return RecordingOptions(place, given.record_images, shadow)


def _read_share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1, got {text!r}")
    return share


def _choose_copy(uri: str, names: tuple[str, ...]) -> Path:
    """Return a folder in the user's cache, for this registry and these names."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        raise ModelyardError(
            "this user has no home folder: name a folder for the local copy with --copy"
        ) from None
    return cache / "modelyard" / hashlib.sha256("\n".join([uri, *names]).encode()).hexdigest()[:16]


def _read_number(least: int, most: int, text: str) -> int:
    if not (text.isdecimal() and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"expected {least} to {most}, got {text!r}")
    return int(text)
