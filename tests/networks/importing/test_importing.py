"""The import of an archive of 2015, from everywhere it may come from, and of what stands in for it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fault_server import Fault, FaultServer, run_fault_server
from legacy_archive import (
    CRANES,
    GRAPH,
    LABEL_MAP,
    PANDA,
    PANDA_SYNSET,
    PHOTO,
    SYNSET_WORDS,
    fit_params,
    make_archive,
    make_label_map,
)
from modelyard.errors import ModelyardError
from modelyard.networks.importing.imported import Imported, find_photo, read_imported
from modelyard.networks.importing.importing import import_pretrained
from stand_in_package import LABELS, weight_shapes, write_package

Values = dict[str, Any]
NOBODY = "http://127.0.0.1:9/inception.tgz"


@pytest.fixture
def out(repository: Path) -> Path:
    return repository / "models" / "inception"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Values]:
    path = tmp_path_factory.mktemp("archive") / "inception.tgz"
    return path, make_archive(path)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with run_fault_server() as server:
        yield server


def run(values: Values, overrides: Values, out: Path, **more: Any) -> Imported:
    pretrained = fit_params(
        values, {**overrides, **{f"pretrained.{key}": more[key] for key in more}}
    ).pretrained
    import_pretrained(pretrained, out)
    return read_imported(out)


def install_stand_in(repository: Path) -> Values:
    """Put the package where npm's files are kept, so that npm is not asked."""
    folder = repository / ".downloads" / "npm" / "nsfwjs@4.4.0"
    return {"pretrained.fallback.sha256": write_package(folder, weight_shapes())}


def test_a_local_archive_becomes_graph_labels_samples_and_provenance(
    values: Values, archive: tuple[Path, Values], out: Path
) -> None:
    imported = run(values, archive[1], out)
    assert (imported.name, imported.format) == ("inception-v3", "frozen_graph")
    assert imported.labels[PANDA].synset == PANDA_SYNSET
    assert [imported.labels[number].name for number in (0, *CRANES, 1001)] == [None, "crane", "crane", None]
    assert [path.name for path in imported.samples] == ["china.jpg", PHOTO, "flower.jpg"]
    assert imported.provenance["recognised"]["score"] > 0.85
    assert imported.provenance["stand_in_for"] is None
    assert set(imported.provenance["sha256"]) == {GRAPH, LABEL_MAP, SYNSET_WORDS, PHOTO}


def test_two_imports_write_the_same_bytes(
    values: Values, archive: tuple[Path, Values], out: Path, repository: Path
) -> None:
    folders = [out, repository / "again"]
    contents = []
    for folder in folders:
        run(values, archive[1], folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        contents.append({str(path.relative_to(folder)): path.read_bytes() for path in files})
    assert contents[0] == contents[1]


def test_the_first_source_that_answers_serves(
    values: Values, archive: tuple[Path, Values], out: Path, server: FaultServer
) -> None:
    good = server.serve("/good.tgz", archive[0].read_bytes())
    gone = server.serve("/gone.tgz", b"", *[Fault(status=404)] * 9)
    imported = run(values, archive[1], out, path=None, sources=[NOBODY, gone, good])
    assert imported.provenance["source"] == good


def test_a_wrong_archive_is_an_error_and_is_fetched_anew(
    values: Values, archive: tuple[Path, Values], out: Path, server: FaultServer, repository: Path
) -> None:
    stand_in = install_stand_in(repository)
    url = server.serve("/inception.tgz", archive[0].read_bytes()[:-100])
    source = {"path": None, "sources": [NOBODY, url], "allow_fallback": True}
    with pytest.raises(ModelyardError, match=f"{url}: expected a whole archive, got a damaged one"):
        run(values, archive[1] | stand_in, out, **source)
    assert not out.exists()
    server.serve("/inception.tgz", archive[0].read_bytes())
    assert run(values, archive[1] | stand_in, out, **source).name == "inception-v3"


def test_a_member_with_another_checksum_is_an_error_though_a_stand_in_is_allowed(
    values: Values, archive: tuple[Path, Values], out: Path
) -> None:
    wrong = archive[1] | {"pretrained.network.sha256": "0" * 64}
    with pytest.raises(ModelyardError, match=f"{GRAPH}: expected sha256 0000"):
        run(values, wrong, out, allow_fallback=True)


def test_a_local_archive_that_is_not_there_is_an_error(
    values: Values, archive: tuple[Path, Values], out: Path
) -> None:
    with pytest.raises(
        ModelyardError,
        match=r"pretrained\.path: expected a folder, an archive or a file, but there is no .*nowhere\.tgz$",
    ):
        run(values, archive[1], out, path="nowhere.tgz", allow_fallback=True)


def test_a_required_member_that_is_missing_is_named(values: Values, tmp_path: Path, out: Path) -> None:
    overrides = make_archive(tmp_path / "a.tgz", replace={LABEL_MAP: None, PHOTO: None})
    with pytest.raises(ModelyardError, match=f"lacks {LABEL_MAP}"):
        run(values, overrides, out)


def test_an_archive_without_the_picture_of_its_proof_is_refused(
    values: Values, tmp_path: Path, out: Path
) -> None:
    overrides = make_archive(tmp_path / "a.tgz", replace={PHOTO: None})
    with pytest.raises(ModelyardError, match=f"lacks {PHOTO}"):
        run(values, overrides, out)


def test_a_network_without_proof_is_imported_and_on_record_as_unproved(
    values: Values, archive: tuple[Path, Values], out: Path
) -> None:
    overrides = {key: value for key, value in archive[1].items() if "proof" not in key}
    imported = run(values, overrides | {"pretrained.proof": None}, out)
    assert imported.provenance["recognised"] is None
    assert PHOTO not in imported.provenance["sha256"]
    assert [path.name for path in imported.samples] == ["china.jpg", "flower.jpg"]


def test_a_photo_taken_for_something_else_stops_the_import(values: Values, tmp_path: Path, out: Path) -> None:
    overrides = make_archive(tmp_path / "a.tgz", replace={PHOTO: find_photo("china.jpg").read_bytes()})
    with pytest.raises(
        ModelyardError, match=f"{PHOTO}: expected {PANDA_SYNSET} first with at least 0.85, got n1"
    ):
        run(values, overrides, out)


def test_a_photo_recognised_with_too_low_a_score_stops_the_import(
    values: Values, archive: tuple[Path, Values], out: Path
) -> None:
    with pytest.raises(
        ModelyardError, match=r"at least 0.9999, got n02510455 \(giant panda, panda\) with 0.99"
    ):
        run(values, archive[1] | {"pretrained.proof.min_score": 0.9999}, out)


@pytest.mark.parametrize("label", ["giant panda, panda", "panda", PANDA_SYNSET])
def test_the_proof_names_a_synset_or_words_of_a_label(
    values: Values, archive: tuple[Path, Values], out: Path, label: str
) -> None:
    recognised = run(values, archive[1] | {"pretrained.proof.label": label}, out).provenance["recognised"]
    assert (recognised["label"], recognised["synset"]) == ("giant panda, panda", PANDA_SYNSET)


def test_a_proof_of_what_the_network_has_no_label_for_is_refused(
    values: Values, archive: tuple[Path, Values], out: Path
) -> None:
    with pytest.raises(
        ModelyardError, match=r"proof\.label: expected a label of the network, .*'polar bear'"
    ):
        run(values, archive[1] | {"pretrained.proof.label": "polar bear"}, out)


def test_a_label_map_shifted_by_one_fails_the_proof(values: Values, tmp_path: Path, out: Path) -> None:
    shifted = make_label_map().replace(b"target_class: %d\n" % PANDA, b"target_class: 0\n")
    overrides = make_archive(tmp_path / "a.tgz", replace={LABEL_MAP: shifted})
    with pytest.raises(
        ModelyardError, match=f"{PHOTO}: expected {PANDA_SYNSET} first .*, got output {PANDA}"
    ):
        run(values, overrides, out)


def test_a_label_map_that_names_three_outputs_is_refused(values: Values, tmp_path: Path, out: Path) -> None:
    few = b"entry".join(make_label_map().split(b"entry")[:4])
    overrides = make_archive(tmp_path / "a.tgz", replace={LABEL_MAP: few})
    with pytest.raises(ModelyardError, match=r"expected names for 1000 of 1008 outputs .*, got 3"):
        run(values, overrides, out)


def test_a_graph_with_an_unknown_op_stops_the_import(values: Values, tmp_path: Path, out: Path) -> None:
    overrides = make_archive(
        tmp_path / "a.tgz", edit_graph=lambda graph: graph.node.add(name="spy", op="WriteFile")
    )
    with pytest.raises(ModelyardError, match=f"{GRAPH}: node 'spy' has the op 'WriteFile'"):
        run(values, overrides, out)


def test_a_failed_import_leaves_the_earlier_one_whole(
    values: Values, archive: tuple[Path, Values], tmp_path: Path, out: Path
) -> None:
    run(values, archive[1], out)
    faulty = make_archive(tmp_path / "a.tgz", replace={SYNSET_WORDS: b"n99999999\tnothing else\n"})
    with pytest.raises(ModelyardError, match=rf"for which {SYNSET_WORDS} has no words"):
        run(values, faulty, out)
    assert read_imported(out).labels[PANDA].synset == PANDA_SYNSET
    assert [path.name for path in out.parent.iterdir()] == ["inception"]


def test_where_no_source_is_reached_the_stand_in_comes_with_its_own_name_and_a_warning(
    values: Values, out: Path, repository: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    imported = run(values, install_stand_in(repository), out, sources=[NOBODY])
    assert (imported.name, imported.format) == ("inception-v3-content-safety", "stand_in")
    assert [label.name for label in imported.labels] == list(LABELS)
    assert imported.preprocessing.fit == "stretch_corners"
    assert imported.provenance["stand_in_for"] == "inception-v3"
    assert imported.provenance["reasons"][0].startswith(f"{NOBODY}: no connection")
    assert imported.provenance["source"] == "npm:nsfwjs@4.4.0"
    warning = capfd.readouterr().err
    assert "WARNING: this is not inception-v3." in warning
    assert warning.count("!" * 80) == 2


def test_without_a_stand_in_the_stage_stops_with_each_reason_and_what_to_do(
    values: Values, out: Path, repository: Path
) -> None:
    with pytest.raises(ModelyardError) as failure:
        run(values, install_stand_in(repository), out, sources=[NOBODY], allow_fallback=False)
    assert f"{NOBODY}: no connection" in str(failure.value)
    assert "pretrained.path=PATH" in str(failure.value)
    assert not out.exists()


def test_a_stand_in_with_other_weights_is_refused(values: Values, out: Path, repository: Path) -> None:
    folder = repository / ".downloads" / "npm" / "nsfwjs@4.4.0"
    shapes = weight_shapes()
    del shapes["conv2d_94/kernel"]
    sha256 = write_package(folder, shapes)
    with pytest.raises(
        ModelyardError, match=r"expected the 382 weights of Inception v3, missing \['conv2d_94"
    ):
        run(values, {"pretrained.fallback.sha256": sha256}, out, sources=[NOBODY])


def test_other_labels_than_the_stand_in_has_outputs_are_refused(
    values: Values, out: Path, repository: Path
) -> None:
    overrides = install_stand_in(repository) | {"pretrained.fallback.labels": ["safe", "unsafe"]}
    with pytest.raises(ModelyardError, match=r"pretrained\.fallback\.labels: expected 5 labels .*, got 2"):
        run(values, overrides, out, sources=[NOBODY])


def test_the_stand_in_is_imported_without_tensorflow(values: Values, out: Path, repository: Path) -> None:
    overrides = install_stand_in(repository) | {"pretrained.sources": [NOBODY]}
    pretrained = fit_params(values, overrides).pretrained.model_dump_json()
    program = (
        "import sys\nfrom pathlib import Path\nfrom modelyard.params.groups.pretrained import FrozenGraph\n"
        "from modelyard.networks.importing.importing import import_pretrained\n"
        "import_pretrained(FrozenGraph.model_validate_json(sys.argv[1]), Path(sys.argv[2]))\n"
        "print([name for name in ('tensorflow', 'keras', 'sklearn') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program, pretrained, str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=repository)
    assert ended.stdout == "[]\n"
    assert json.loads((out / "labels.json").read_text())[2]["name"] == "Neutral"


def test_a_folder_that_no_import_wrote_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelyardError, match="expected an imported network"):
        read_imported(tmp_path)
