"""deploy/Dockerfile without Docker: its instructions in clean folders, its command over a real registry.

After `make repro`. What the image calls /opt/modelyard lies below a folder here, and Python is this
machine's; everything else is as the Dockerfile says: what is copied, installed and started, and as whom.
"""

import contextlib
import os
import shutil
import signal
import stat
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/support")]

from dockerfile import Context, Instruction, read_dockerfile, read_settings  # noqa: E402
from tracking_server import TrackingServer, find_free_port  # noqa: E402

PYTHON = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
READY_TIMEOUT_S = 60
# What another build on this machine would see too: the network's settings and pip's, not this environment's.
DROPPED = ("PYTHON", "VIRTUAL_ENV", "MLFLOW_", "DVC_", "PATH")
# Nothing that is only needed to train, or to run an MLflow server.
UNWANTED = ("tensorflow", "keras", "dvc", "hydra", "pandas", "sklearn", "sqlalchemy", "pip", "setuptools")


class Image:
    """What the instructions make.

    Every stage is made in the same place, as an environment of Python knows where it lies, and set aside.
    """

    def __init__(self, scratch: Path) -> None:
        self.root = scratch / "image"
        self.environment: dict[str, str] = {}
        self._scratch = scratch
        self._context = Context(ROOT)
        self._stages: dict[str, Path] = {}
        self._name = self._folder = ""

    def make(self, instructions: list[Instruction]) -> None:
        """Perform what makes something."""
        steps = {
            "FROM": self._begin,
            "ENV": self._set,
            "WORKDIR": self._enter,
            "COPY": self._copy,
            "RUN": self._run,
        }
        for instruction in instructions:
            if instruction.is_step:
                steps[instruction.keyword](instruction)

    def lay(self, text: str) -> str:
        """Return where an absolute path of the image lies; any other text as it is."""
        return f"{self.root}{text}" if text.startswith("/") else text

    def _begin(self, instruction: Instruction) -> None:
        base, _, name = instruction.text.partition(" AS ")
        if self._name:
            self._stages[self._name] = self.root.rename(self._scratch / f"stage-{self._name}")
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        if not base.startswith(f"python:{version}-"):
            print(f"{base} is tried with Python {version}")
        self._name, self._folder = name, str(self.root)
        self.environment = {"PATH": f"{PYTHON.parent}:/usr/bin:/bin"}
        self.root.mkdir()

    def _set(self, instruction: Instruction) -> None:
        [word] = instruction.words
        name, _, value = word.partition("=")
        self.environment[name] = string.Template(self.lay(value)).substitute(self.environment)

    def _enter(self, instruction: Instruction) -> None:
        self._folder = self.lay(instruction.text)
        Path(self._folder).mkdir(parents=True, exist_ok=True)

    def _copy(self, instruction: Instruction) -> None:
        *sources, target = instruction.words
        into = Path(self._folder, self.lay(target))
        if stage := instruction.flags.get("from"):
            [source] = sources
            shutil.copytree(f"{self._stages[stage]}{source}", into, symlinks=True, dirs_exist_ok=True)
            return
        for source in sources:
            folder = (ROOT / source).is_dir()
            for path in self._context.find(source):
                inside = path.relative_to(source) if folder else Path(path.name)
                whole = into / inside if folder or target.endswith("/") else into
                whole.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, whole)

    def _run(self, instruction: Instruction) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
        command = ["/bin/sh", "-c", instruction.text]
        environment = kept | self.environment
        done = subprocess.run(
            command, cwd=self._folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"RUN {instruction.text}\n{done.stdout}{done.stderr}")


class Container:
    """The image's command, started as its user, with nothing in its environment but what a cluster gives."""

    def __init__(self, image: Image, settings: dict[str, list[str]], tracking_uri: str) -> None:
        self._image, self._settings = image, settings
        self._port = find_free_port()
        self._environment = image.environment | {"MLFLOW_TRACKING_URI": tracking_uri}
        self.address = f"http://127.0.0.1:{self._port}"
        # argparse takes the last one; the image's own port may be somebody else's here.
        command = [*settings["ENTRYPOINT"], *settings["CMD"], "--port", str(self._port)]
        log = (image.root.parent / "log").open("wb")
        self.process = subprocess.Popen(
            self._as_user(command), cwd=self._folder, env=self._environment, stdout=log, stderr=log
        )

    @property
    def _folder(self) -> str:
        [volume] = self._settings["VOLUME"]
        return self._image.lay(volume)

    def check_health(self) -> None:
        """Fail unless the image's own check of health passes."""
        words = [word.replace("8080", str(self._port)) for word in self._settings["HEALTHCHECK"]]
        subprocess.run(self._as_user(words), cwd=self._folder, env=self._environment, check=True)

    def wait_until_ready(self) -> None:
        """Return as soon as it has a champion."""
        for _ in range(READY_TIMEOUT_S * 10):
            check(self.process.poll() is None, "the container ended before it was ready")
            # Until it listens, it refuses connections.
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{self.address}/readyz", timeout=5).ok:
                    return
            time.sleep(0.1)
        check(False, f"the container was not ready within {READY_TIMEOUT_S} s")

    def read_memory_mb(self) -> float:
        """Return the most memory it had, in MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000

    def stop(self) -> int:
        """Send the image's signal to stop; return the exit code."""
        [name] = self._settings["STOPSIGNAL"]
        self.process.send_signal(getattr(signal, name))
        return self.process.wait(60)

    def _as_user(self, command: list[str]) -> list[str]:
        words = [self._image.lay(word) for word in command]
        if os.geteuid() != 0:
            return words
        user, _, group = self._settings["USER"][0].partition(":")
        prefix = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]
        if not all(folder.stat().st_mode & stat.S_IXOTH for folder in PYTHON.parents):
            # Here Python is root's own, where the image has it for everybody: may be read, not written.
            prefix += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
        return [*prefix, *words]


def main() -> None:
    """Fail with the first thing that is not as it should be."""
    instructions = read_dockerfile((ROOT / "deploy/Dockerfile").read_text())
    settings = read_settings(instructions)
    with tempfile.TemporaryDirectory(prefix="modelyard-image-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)
        image = Image(scratch)
        started = time.monotonic()
        image.make(instructions)
        made_s = time.monotonic() - started
        size_mb = sum(path.stat().st_size for path in image.root.rglob("*") if path.is_file()) / 1e6
        with serve_registry(scratch) as uri:
            memory_mb = try_container(image, settings, uri)
    print(
        f"image: {size_mb:.0f} MB beside Python, made in {made_s:.0f} s; {memory_mb:.0f} MB of memory at most"
    )


@contextmanager
def serve_registry(scratch: Path) -> Iterator[str]:
    """Give the URI of an MLflow server with the bundles of `make repro`, registered by the stage's script."""
    server = TrackingServer(scratch)
    server.start()
    try:
        command = [sys.executable, "pipelines/register.py", "--registered", str(scratch / "registered.json")]
        for name in ("bundles", "reports", "models"):
            command += [f"--{name}", name]
        environment = os.environ | {"MLFLOW_TRACKING_URI": server.uri}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        yield server.uri
    finally:
        server.kill()


def try_container(image: Image, settings: dict[str, list[str]], uri: str) -> float:
    """Start it, ask it for digits, stop it; return the most memory it had, in MB."""
    for name in UNWANTED:
        found = [path.name for path in image.root.glob(f"opt/*/lib/*/site-packages/{name}")]
        check(not found, f"the image must not have {name}")
    began_ns = time.time_ns()
    container = Container(image, settings, uri)
    try:
        container.wait_until_ready()
        container.check_health()
        ask_for_digits(container.address)
        memory_mb = container.read_memory_mb()
        code = container.stop()
        check(code == 0, f"expected exit code 0 after {settings['STOPSIGNAL'][0]}, got {code}")
    except BaseException:
        print((image.root.parent / "log").read_text(), file=sys.stderr)
        raise
    finally:
        container.process.kill()
    [volume] = settings["VOLUME"]
    written = [str(path) for path in image.root.rglob("*") if path.lstat().st_mtime_ns > began_ns]
    outside = [path for path in written if not path.startswith(image.lay(volume))]
    check(written != outside, "expected a local copy in the volume")
    check(not outside, f"expected that all is written to {volume}; also written: {outside}")
    return memory_mb


def ask_for_digits(address: str) -> None:
    """Fail unless at least 9 of 10 samples are answered with their label."""
    samples = sorted((ROOT / "data/samples").glob("*.png"))
    url, headers = f"{address}/models/mnist/predict", {"Content-Type": "image/png"}
    right = 0
    for sample in samples:
        answer = requests.post(url, sample.read_bytes(), headers=headers, timeout=30)
        answer.raise_for_status()
        right += f"label-{answer.json()['predictions'][0][0]['label']}" in sample.name
    check(len(samples) >= 10 and right >= 0.9 * len(samples), f"{right} of {len(samples)} digits are right")


def check(true: bool, message: str) -> None:
    """Stop with the message unless it is true."""
    if not true:
        raise SystemExit(message)


if __name__ == "__main__":
    main()
