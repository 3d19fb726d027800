"""The MLflow UI on loopback, and the link that lands where versions are compared."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Iterable

from modelyard.errors import ModelyardError
from modelyard.params import load_params
from modelyard.processes import own_environment
from modelyard.tracking.environment import QUIET
from modelyard.tracking.store import ABOUT_RUNS, NOTE, Tracking, open_tracking
from modelyard.ui.browser import has_screen, wait_for
from modelyard.ui.older_runs import complete_pages
from modelyard.ui.view import imported_versions, store_view, trained_versions, view_link

# Background jobs evaluate language models: seven processes, half a minute of a core at the start.
WITHOUT_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
# MLflow says this on every start, also when it is told to be quiet.
GREETING = "[MLflow] Security middleware enabled"


def main() -> int:
    """Serve until Ctrl-C, and print the link when the page is there; of a tracking server, only print it."""
    parser = argparse.ArgumentParser(prog="make ui", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=5000, help="of the UI on 127.0.0.1 (default: %(default)s)"
    )
    port = parser.parse_args().port
    try:
        params = load_params()
        tracking = open_tracking(params.registry.experiment)
        is_server = tracking.uri.startswith("http")
        if not is_server:
            _check_port(port)
        complete_pages(tracking)
        link = _prepare(tracking, params.data.name)
    except ModelyardError as error:
        sys.exit(f"ui: {error}")
    if is_server:
        _show(tracking.uri, tracking.uri.rstrip("/") + link)
        return 0
    return _serve(tracking.uri, port, link)


def _prepare(tracking: Tracking, dataset: str) -> str:
    """Store the views, and name them in the experiment's description; return the link to the first one."""
    client, experiment = tracking.client, tracking.experiment_id
    views = trained_versions(dataset), imported_versions()
    stored = [view for view in views if store_view(client, experiment, view)]
    links = [f"[{view.name}]({view_link('', experiment, view).lstrip('/')})" for view in stored]
    about = f"{ABOUT_RUNS} Side by side: {', '.join(links)}."
    note = client.get_experiment(experiment).tags.get(NOTE, "")
    # Words of a person stay.
    if links and note != about and note.startswith(ABOUT_RUNS):
        client.set_experiment_tag(experiment, NOTE, about)
    return view_link("", experiment, views[0] if views[0] in stored else None)


def _check_port(port: int) -> None:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            raise ModelyardError(
                f"expected a free port, {port} cannot be used ({error.strerror}): `make ui PORT={port + 1}`"
            ) from None


def _serve(uri: str, port: int, link: str) -> int:
    command = [
        "mlflow",
        "server",
        "--backend-store-uri",
        uri,
        "--registry-store-uri",
        uri,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    # The link is the last line: no line for every request.
    command += ["--workers", "1", "--uvicorn-opts", "--log-level=warning"]
    quiet = {**QUIET, "PYTHONWARNINGS": "ignore"}
    server = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        command, env=own_environment() | quiet | WITHOUT_JOBS, stderr=subprocess.PIPE, text=True
    )
    # Who ends this process ends the server too.
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    threading.Thread(target=_pass_on, args=(process.stderr,), daemon=True).start()
    threading.Thread(target=_show, args=(server, server + link), daemon=True).start()
    try:
        return process.wait()
    except KeyboardInterrupt:
        return process.wait() and 0


def _pass_on(lines: Iterable[str]) -> None:
    for line in lines:
        if not line.startswith(GREETING):
            print(line, end="", file=sys.stderr, flush=True)


def _show(server: str, link: str) -> None:
    if wait_for(server):
        print(link, flush=True)
        if has_screen(os.environ, sys.platform):
            webbrowser.open(link)


if __name__ == "__main__":
    sys.exit(main())
