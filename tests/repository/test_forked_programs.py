"""A program in a fork says and ends what it does in a new interpreter, and a shared trial is a trial."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from conftest import clean_environment
from forked_programs import put_on_path
from modelyard.inference.bundle import BundleError
from modelyard.inference.runtime.trial import try_bundle
from mutated_models import crashing_model
from shared_trials import SharedTrials
from tflite_models import digit_bundle, digit_model

Environment = dict[str, str]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return put_on_path(tmp_path_factory.mktemp("bin"), clean_environment())


@pytest.fixture
def sleeper(environment: Environment, tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A program that sleeps, and the id of the process that it is."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with subprocess.Popen(
        ["python", "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("pass", (0, "", "")),
        ("import sys; print(sys.argv[1:], sys.stdin.read()); sys.exit(7)", (7, "['a b'] given\n", "")),
        ("import sys; sys.exit('a line')", (1, "", "a line\n")),
        ("import os; os.abort()", (-signal.SIGABRT, "", "")),
        ("import os; print(os.environ['WORD'], os.getcwd() == os.environ['PLACE'])", (0, "word True\n", "")),
    ],
)
def test_a_program_has_its_arguments_files_and_end(
    environment: Environment, tmp_path: Path, code: str, ends: tuple[int, str, str]
) -> None:
    done = subprocess.run(
        ["python", "-c", code, "a b"],
        cwd=tmp_path,
        env=environment | {"WORD": "word", "PLACE": str(tmp_path)},
        input="given",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == ends


def test_a_script_finds_what_lies_beside_it_and_a_bug_keeps_its_traceback(
    environment: Environment, tmp_path: Path
) -> None:
    (tmp_path / "beside.py").write_text("")
    (tmp_path / "script.py").write_text("import beside\n[].pop()\n")
    done = subprocess.run(
        ["python", str(tmp_path / "script.py")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.endswith("IndexError: pop from empty list\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_what_ends_the_stand_in_ends_the_program(
    sleeper: tuple["subprocess.Popen[bytes]", int], number: signal.Signals
) -> None:
    process, pid = sleeper
    process.send_signal(number)
    assert process.wait(30) == -number
    end = time.monotonic() + 30
    while psutil.pid_exists(pid):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_shared_trial_finds_a_crash_and_its_process_is_opened_again(
    tmp_path: Path, process_for_trials: SharedTrials
) -> None:
    whole, crashing = (digit_bundle(tmp_path / name).folder for name in ("whole", "crashing"))
    (crashing / "model.tflite").write_bytes(crashing_model(digit_model()))
    for _ in range(2):
        try_bundle(whole)
        with pytest.raises(BundleError, match="LiteRT crashed on its model"):
            try_bundle(crashing)
        process = psutil.Process(process_for_trials.pid)
        process.kill()
        process.wait(30)
