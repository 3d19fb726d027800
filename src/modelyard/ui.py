"""The MLflow UI on loopback, and the link that lands where runs are compared."""

import argparse
import os
import subprocess
import sys

from modelyard.errors import ModelyardError
from modelyard.params import load_params
from modelyard.tracking.store import open_tracking


def comparison_link(server: str, experiment_id: str) -> str:
    """Return the address that shows all runs' charts: MLflow opens in its GenAI view without it."""
    view = "workflowType=machine_learning&compareRunsMode=CHART"
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?{view}"


def main() -> int:
    """Print the link and serve until Ctrl-C; with a tracking server of its own, only print the link."""
    parser = argparse.ArgumentParser(prog="make ui", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=5000, help="of the UI on 127.0.0.1 (default: %(default)s)"
    )
    port = parser.parse_args().port
    try:
        tracking = open_tracking(load_params().registry.experiment)
    except ModelyardError as error:
        sys.exit(f"ui: {error}")
    if tracking.uri.startswith("http"):
        print(comparison_link(tracking.uri, tracking.experiment_id))
        return 0
    print(
        f"Compare runs at {comparison_link(f'http://127.0.0.1:{port}', tracking.experiment_id)}", flush=True
    )
    command = [
        "mlflow",
        "server",
        "--backend-store-uri",
        tracking.uri,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "MLFLOW_DISABLE_TELEMETRY": "true"}
    try:
        return subprocess.run([*command, "--workers", "1"], env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
