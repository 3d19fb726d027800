"""The MLflow UI on loopback, and the link that lands where versions are compared."""

import argparse
import os
import subprocess
import sys
import threading

from modelyard.errors import ModelyardError
from modelyard.params import load_params
from modelyard.processes import own_environment
from modelyard.tracking.store import open_tracking
from modelyard.ui.browser import has_screen, open_when_up
from modelyard.ui.view import comparison_link, store_view

# Background jobs evaluate language models: seven processes, half a minute of a core at the start.
WITHOUT_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def main() -> int:
    """Print the link and serve until Ctrl-C; if the store is a tracking server, only print the link."""
    parser = argparse.ArgumentParser(prog="make ui", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=5000, help="of the UI on 127.0.0.1 (default: %(default)s)"
    )
    port = parser.parse_args().port
    try:
        tracking = open_tracking(load_params().registry.experiment)
    except ModelyardError as error:
        sys.exit(f"ui: {error}")
    there = tracking.uri.startswith("http")
    server = tracking.uri if there else f"http://127.0.0.1:{port}"
    stored = store_view(tracking.client, tracking.experiment_id)
    link = comparison_link(server, tracking.experiment_id, stored=stored)
    print(link if there else f"Compare versions at {link}", flush=True)
    if has_screen(os.environ, sys.platform):
        opening = threading.Thread(target=open_when_up, args=(server, link), daemon=True)
        opening.start()
        if there:
            opening.join()
    return 0 if there else _serve(tracking.uri, port)


def _serve(uri: str, port: int) -> int:
    command = ["mlflow", "server", "--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"PYTHONWARNINGS": "ignore", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment = own_environment() | quiet | WITHOUT_JOBS
    try:
        return subprocess.run([*command, "--workers", "1"], env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
