"""`modelyard serve`: the HTTP service."""

import argparse
import functools
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.service.settings import TOKEN, Settings, read_token

if TYPE_CHECKING:
    from modelyard.service.models.models import Models

_OPTIONS = {
    "max_body_bytes": "bytes of a request; more is a 413",
    "max_pixels": "of an image, by its header; more is an error of that image",
    "max_items": "images in a request; more is a 413",
    "max_concurrent": "computations at once, in each process",
    "max_queued": "requests beside those; one more is a 503",
    "max_connections": "connections at once; for one more an idle one is closed, or its requests get a 503",
    "headers_s": "seconds for a request's headers; then its connection is closed",
    "deadline_s": "seconds for a request; after that a 504",
    "keep_alive_s": "seconds that an idle connection stays open",
    "drain_s": "seconds from SIGTERM to the closing of the port",
}


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `serve`."""
    serve = commands.add_parser(
        "serve",
        help="answer over HTTP, following the registry",
        description="Answer over HTTP with the champions of the registry at MLFLOW_TRACKING_URI. With the "
        f"environment variable {TOKEN} set, requests must carry that bearer token.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    # Without a value of their own, these two say in words what happens.
    unset = argparse.SUPPRESS
    names = "to serve; the first is the default one; repeat it (default: all)"
    serve.add_argument("--model", action="append", default=unset, metavar="NAME", help=names)
    serve.add_argument("--host", default="127.0.0.1", help="to listen on; 0.0.0.0 lets others in")
    serve.add_argument("--port", type=_port, default=8080, help="to listen on; 0 takes a free one")
    serve.add_argument("--workers", type=_workers, default=1, help="processes, each with its own models")
    copy = "for the local copy of what is served (default: in the user's cache)"
    serve.add_argument("--copy", type=Path, default=unset, metavar="FOLDER", help=copy)
    defaults = Settings()
    for name, told in _OPTIONS.items():
        default = getattr(defaults, name)
        option = f"--{name.replace('_', '-')}"
        serve.add_argument(option, type=type(default), default=default, metavar="N", help=told)
    serve.set_defaults(run=_serve)


def make_models(names: tuple[str, ...], folder: Path, max_pixels: int) -> "Models":
    """Make the models of one process.

    Args:
        names: registered models, the default first; empty for all that were published with modelyard.
        folder: for the local copy.
        max_pixels: of an image.
    """
    from modelyard.inference.decoding.images import Limits
    from modelyard.service.models.local_copy import LocalCopy
    from modelyard.service.models.models import Models
    from modelyard.service.models.registry_source import open_source
    from modelyard.tracking.address import tracking_uri, web_address

    uri, limits = tracking_uri(), Limits(max_pixels=max_pixels)
    return Models(open_source(uri), LocalCopy(folder), names, limits=limits, mlflow=web_address(uri))


def _serve(given: argparse.Namespace) -> None:
    from modelyard.errors import ModelyardError

    try:
        limits = {name: getattr(given, name) for name in _OPTIONS}
        settings = Settings(**limits, token=read_token())
    except ValueError as error:
        raise ModelyardError(str(error)) from None
    from modelyard.service.server import serve
    from modelyard.tracking.address import tracking_uri

    # What is wrong with the address of the registry is told here, once, not by every process.
    uri, names = tracking_uri(), tuple(vars(given).get("model", ()))
    copy = vars(given).get("copy") or _choose_copy(uri, names)
    factory = functools.partial(make_models, names, copy, settings.max_pixels)
    serve(factory, host=given.host, port=given.port, workers=given.workers, settings=settings)


def _choose_copy(uri: str, names: tuple[str, ...]) -> Path:
    """Return a folder in the user's cache, for this registry and these names."""
    from modelyard.errors import ModelyardError

    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        raise ModelyardError(
            "this user has no home folder: name a folder for the local copy with --copy"
        ) from None
    return cache / "modelyard" / hashlib.sha256("\n".join([uri, *names]).encode()).hexdigest()[:16]


def _port(text: str) -> int:
    return _whole_number(text, 0, 65_535)


def _workers(text: str) -> int:
    return _whole_number(text, 1, 64)


def _whole_number(text: str, least: int, most: int) -> int:
    if not (text.isdecimal() and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"expected {least} to {most}, got {text!r}")
    return int(text)
