"""A SavedModel of others: asked through its signature, frozen, and refused before it is loaded."""

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from foreign_networks import (
    CLASSES,
    PICTURES,
    SIDE,
    assert_converts,
    describe_network,
    import_network,
    make_keras_network,
    run_converted,
)
from modelyard.errors import ModelyardError
from modelyard.networks.formats.saved_model import check_saved_model
from modelyard.networks.importing.obtaining import digest_network
from modelyard.networks.opening import open_network


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "mine"
    make_keras_network().export(folder, verbose=False)
    return folder


@pytest.fixture(autouse=True)
def _inside(repository: Path) -> None:
    """A relative path is below the repository."""


def save_function(folder: Path, function: Callable[..., Any], *inputs: tf.TensorSpec) -> Path:
    """Save a function as serving_default."""
    module = tf.Module()
    module.answer = tf.function(function, input_signature=inputs)
    tf.saved_model.save(module, str(folder), signatures=module.answer)
    return folder


def image(*sizes: int | None, dtype: Any = tf.float32) -> tf.TensorSpec:
    return tf.TensorSpec(sizes, dtype, name="image")


def assert_refused(path: Path, out: Path, message: str, **changes: Any) -> None:
    with pytest.raises(ModelyardError, match=message) as refused:
        import_network(describe_network("saved_model", path, **changes), out)
    assert "\n" not in str(refused.value)
    assert not out.exists()


def test_a_saved_model_answers_and_converts(saved: Path, tmp_path: Path) -> None:
    imported = import_network(describe_network("saved_model", saved), tmp_path / "out")
    with open_network(imported) as network:
        assert_converts(network, imported, tmp_path)
        files = [path.read_bytes() for path in imported.samples]
        assert len(network.answer_files(files)) == len(files)
    assert imported.provenance["network_sha256"] == digest_network(saved)


def test_features_are_those_of_the_tensor_that_conf_names(saved: Path, tmp_path: Path) -> None:
    wrong = describe_network("saved_model", saved, features="sequential/pooled/Men:0")
    with (
        open_network(import_network(wrong, tmp_path / "wrong")) as network,
        pytest.raises(ModelyardError, match=r"the graph has none \(but '(.*pooled.*?)'") as refused,
    ):
        network.convert_features("float32")
    [name] = [word for word in str(refused.value).split("'") if word.endswith("pooled_1/Mean")]
    pretrained = describe_network("saved_model", saved, features=name)
    imported = import_network(pretrained, tmp_path / "out")
    with open_network(imported) as network:
        given = run_converted(network.convert_features("float32"), imported, tmp_path)
        untouched = [network.pool(picture) for picture in PICTURES]
    assert given.shape == (len(PICTURES), 8)
    np.testing.assert_allclose(np.concatenate(untouched), given, atol=1e-4)
    assert np.ptp(given, axis=0).max() > 0.01


@pytest.mark.parametrize("top", ["", "mobilenet/"])
def test_an_archive_with_or_without_a_top_folder_is_read(saved: Path, tmp_path: Path, top: str) -> None:
    archive = tmp_path / "mine.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(saved.rglob("*")):
            tar.add(path, f"{top}{path.relative_to(saved)}", recursive=False)
    network = {"file": "mine", "sha256": digest_network(saved)}
    imported = import_network(describe_network("saved_model", archive, network=network), tmp_path / "out")
    assert imported.file.name == "mine"
    assert digest_network(imported.file) == digest_network(saved)


def test_a_changed_file_is_noticed_and_its_checksum_said(saved: Path, tmp_path: Path) -> None:
    changed = tmp_path / "mine"
    shutil.copytree(saved, changed)
    (changed / "variables" / "more").write_text("more")
    network = {"file": "mine", "sha256": digest_network(saved)}
    message = f"mine: expected sha256 {digest_network(saved)}, got {digest_network(changed)}"
    assert_refused(changed, tmp_path / "out", message, network=network)


def test_channels_first_and_logits_are_seen_to(tmp_path: Path) -> None:
    kernel = tf.constant(np.random.default_rng(1).normal(0, 0.3, (3, CLASSES)).astype(np.float32))
    path = save_function(
        tmp_path / "mine",
        lambda image: {"logits": tf.reduce_mean(image, (2, 3)) @ kernel * 9},
        image(None, 3, SIDE, SIDE),
    )
    pretrained = describe_network("saved_model", path, output__activation="logits", input__order="bgr")
    imported = import_network(pretrained, tmp_path / "out")
    with open_network(imported) as network:
        assert_converts(network, imported, tmp_path)


def test_an_op_that_reads_files_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not yours")

    def spy(image: tf.Tensor) -> tf.Tensor:
        size = tf.strings.length(tf.io.read_file(str(secret)))
        return tf.reduce_mean(image, (1, 2))[:, :1] * tf.cast(size, tf.float32) * tf.ones((1, CLASSES))

    path = save_function(tmp_path / "mine", spy, image(None, SIDE, SIDE, 3))
    shutil.rmtree(path / "variables")
    assert_refused(path, tmp_path / "out", r"mine/mine: node '.*' has the op 'ReadFile', which is not among")


def test_python_inside_is_refused(tmp_path: Path) -> None:
    def call(image: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.py_function(lambda one: one, [image], tf.float32), (1, -1))[:, :CLASSES]

    path = save_function(tmp_path / "mine", call, image(1, SIDE, SIDE, 3))
    assert_refused(path, tmp_path / "out", "has the op 'EagerPyFunc'")


def test_a_table_of_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("ant\nbee\n")
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(tmp_path / "words.txt"), tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string, 0
        ),
        "",
    )
    module.answer = tf.function(
        lambda image: tf.reduce_mean(image, (1, 2)), input_signature=[image(1, SIDE, SIDE, 3)]
    )
    tf.saved_model.save(module, str(tmp_path / "mine"), signatures=module.answer)
    assert_refused(tmp_path / "mine", tmp_path / "out", "refused$")


def edit_saved(saved: Path, change: Callable[[Any], Any]) -> bytes:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    whole = SavedModel.FromString((saved / "saved_model.pb").read_bytes())
    change(whole.meta_graphs[0])
    return whole.SerializeToString()


def call_the_saver(graph: Any) -> None:
    saver = next(node for node in graph.graph_def.node if node.name == graph.saver_def.restore_op_name)
    for function in graph.graph_def.library.function:
        if "signature_wrapper" in function.signature.name:
            spy = function.node_def.add(name="spy", op="StatefulPartitionedCall")
            spy.attr["f"].CopyFrom(saver.attr["f"])


def list_the_saver(graph: Any) -> None:
    saver = next(node for node in graph.graph_def.node if node.name == graph.saver_def.restore_op_name)
    graph.object_graph_def.concrete_functions[saver.attr["f"].func.name].SetInParent()


def wait_for_the_saver(graph: Any) -> None:
    graph.graph_def.node.add(name="spy", op="NoOp", input=[f"^{graph.saver_def.restore_op_name}"])


def forget_the_objects(graph: Any) -> None:
    graph.ClearField("object_graph_def")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (call_the_saver, "node 'spy' reads or writes checkpoints by itself"),
        (wait_for_the_saver, "node 'spy' reads or writes checkpoints by itself"),
        (list_the_saver, "traced_restore.*' reads or writes checkpoints"),
        (forget_the_objects, "a SavedModel of TensorFlow 2 with one graph"),
        (lambda graph: graph.signature_def["serving_default"].inputs["more"].SetInParent(), "got .*'more'"),
        (lambda graph: graph.signature_def.pop("serving_default"), r"expected the signature serving_default"),
    ],
)
def test_what_a_checkpoint_could_be_used_for_is_refused(
    saved: Path, change: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(ModelyardError, match=message):
        check_saved_model(edit_saved(saved, change))


def test_a_signature_of_text_is_an_error_of_one_line(tmp_path: Path) -> None:
    path = save_function(
        tmp_path / "mine",
        lambda image: tf.tile(tf.cast(tf.shape(image), tf.float32)[None], (1, CLASSES)),
        image(None, dtype=tf.string),
    )
    assert_refused(path, tmp_path / "out", r"^mine/mine: serving_default: .*float32 output, got string 'i")


def test_another_size_than_conf_says_is_an_error_that_names_both(saved: Path, tmp_path: Path) -> None:
    message = (
        r"^mine/mine: expected an input of 299 x 299 x 3 \(pretrained.input\), the network takes 32 x 32 x 3"
    )
    assert_refused(saved, tmp_path / "out", message, input__height=299, input__width=299)


def test_any_height_and_width_that_the_layers_cannot_take_is_an_error_of_one_line(tmp_path: Path) -> None:
    kernel = tf.ones((SIDE * SIDE * 3, CLASSES))
    path = save_function(
        tmp_path / "mine",
        lambda image: tf.nn.softmax(tf.reshape(image, (1, -1)) @ kernel),
        image(1, None, None, 3),
    )
    assert_refused(path, tmp_path / "out", "mine/mine: the network does not run: ", input__height=64)
