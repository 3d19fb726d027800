"""A frozen graph of one's own, from the file to a converted network, and what is wrong with a bad one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import yaml

from conftest import ROOT
from foreign_networks import (
    CLASSES,
    PICTURES,
    SIDE,
    assert_converts,
    describe_network,
    import_network,
    run_converted,
)
from legacy_archive import PANDA, PHOTO, fit_params, make_archive
from modelyard.errors import ModelyardError
from modelyard.inference.fits import fit_pixels
from modelyard.networks.importing.imported import read_imported
from modelyard.networks.importing.importing import import_pretrained
from modelyard.networks.opening import open_network

TENSORS = {"input__tensor": "input:0", "output__tensor": "final_result:0", "decoded": None}


def write_graph(path: Path, *, layout: str = "NHWC", last: str = "softmax", dtype: Any = tf.float32) -> Path:
    """Write a small graph as people retrain them: placeholders, fused batch norm, a depthwise convolution."""
    random = np.random.default_rng(3)

    def weights(*shape: int) -> tf.Tensor:
        return tf.constant(random.normal(0, 0.4, shape).astype(np.float32))

    with tf.Graph().as_default() as graph:
        sizes = [None, SIDE, SIDE, 3] if layout == "NHWC" else [None, 3, SIDE, SIDE]
        entrance = tf.compat.v1.placeholder(dtype, sizes, name="input")
        pixels = tf.cast(entrance, tf.float32)
        if layout == "NCHW":
            pixels = tf.transpose(pixels, (0, 2, 3, 1))
        keep = tf.compat.v1.placeholder_with_default(tf.constant(1.0), [], name="keep")
        net = tf.nn.conv2d(pixels * keep, weights(3, 3, 3, 8), 2, "SAME")
        moments = [tf.constant(random.uniform(0.5, 1.5, 8).astype(np.float32)) for _ in range(4)]
        net, *_ = tf.compat.v1.nn.fused_batch_norm(net, *moments, is_training=False)
        net = tf.nn.depthwise_conv2d(tf.nn.relu6(net), weights(3, 3, 8, 1), [1, 1, 1, 1], "SAME")
        pooled = tf.reduce_mean(tf.concat([net, tf.nn.relu(net)], 3), (1, 2), name="pooled")
        scores = tf.matmul(pooled, weights(16, CLASSES), name="scores")
        {"softmax": tf.nn.softmax, "logits": tf.identity, "sigmoid": tf.sigmoid}[last](
            scores, name="final_result"
        )
        path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_graph(tmp_path_factory.mktemp("graph") / "mine.pb")


@pytest.fixture(autouse=True)
def _inside(repository: Path) -> None:
    """A relative path is below the repository."""


def ask_session(path: Path, inputs: np.ndarray) -> np.ndarray:
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(tf.compat.v1.GraphDef.FromString(path.read_bytes()), name="")
        with tf.compat.v1.Session(graph=graph) as session:
            answer: np.ndarray = session.run("final_result:0", {"input:0": inputs})
    return answer


@pytest.mark.parametrize(("order", "step"), [("rgb", 1), ("bgr", -1)])
def test_a_graph_of_ones_own_converts_with_its_scaling_inside(
    graph: Path, tmp_path: Path, order: str, step: int
) -> None:
    pretrained = describe_network("frozen_graph", graph, **TENSORS, input__order=order)
    imported = import_network(pretrained, tmp_path / "out")
    with open_network(imported) as network:
        given = assert_converts(network, imported, tmp_path)
    fitted = np.stack([fit_pixels("stretch", picture, SIDE, SIDE) for picture in PICTURES])
    normal = (fitted - [120.0, 130.0, 110.0]) * [0.01, 0.02, 0.015]
    np.testing.assert_allclose(given, ask_session(graph, normal[..., ::step]), atol=1e-5)


def test_channels_first_and_logits_are_seen_to(tmp_path: Path) -> None:
    plain = write_graph(tmp_path / "plain.pb")
    turned = write_graph(tmp_path / "turned.pb", layout="NCHW", last="logits")
    answers = []
    for path, activation in ((plain, "softmax"), (turned, "logits")):
        pretrained = describe_network("frozen_graph", path, **TENSORS, output__activation=activation)
        imported = import_network(pretrained, tmp_path / "out")
        with open_network(imported) as network:
            answers.append(assert_converts(network, imported, tmp_path))
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)


def test_features_are_what_the_graph_has_at_the_tensor(graph: Path, tmp_path: Path) -> None:
    pretrained = describe_network("frozen_graph", graph, **TENSORS, features="pooled")
    imported = import_network(pretrained, tmp_path / "out")
    with open_network(imported) as network:
        given = run_converted(network.convert_features("float32"), imported, tmp_path)
        untouched = [network.pool(picture) for picture in PICTURES]
    with open_network(
        import_network(
            describe_network(
                "frozen_graph",
                graph,
                **TENSORS | {"output__tensor": "scores:0"},
                output__activation="logits",
            ),
            tmp_path / "scores",
        )
    ) as network:
        expected = network.answer(PICTURES)
    weights = next(
        tf.make_ndarray(node.attr["value"].tensor)
        for node in tf.compat.v1.GraphDef.FromString(graph.read_bytes()).node
        if node.op == "Const"
        and [d.size for d in node.attr["value"].tensor.tensor_shape.dim] == [16, CLASSES]
    )
    assert given.shape == (len(PICTURES), 16)
    np.testing.assert_allclose(tf.nn.softmax(given @ weights), expected, atol=1e-4)
    np.testing.assert_allclose(np.concatenate(untouched), given, atol=1e-4)


def test_without_a_tensor_to_pool_there_are_no_features(graph: Path, tmp_path: Path) -> None:
    imported = import_network(describe_network("frozen_graph", graph, **TENSORS), tmp_path / "out")
    with open_network(imported) as network:
        assert network.pool(PICTURES[0]) is None
        with pytest.raises(ModelyardError, match=r"set pretrained\.features"):
            network.convert_features("float32")


def test_the_graph_of_2015_is_measured_against_its_own_resizing(
    values: dict[str, Any], tmp_path: Path
) -> None:
    overrides = make_archive(tmp_path / "a.tgz")
    import_pretrained(fit_params(values, overrides).pretrained, tmp_path / "out")
    imported = read_imported(tmp_path / "out")
    photo = (imported.folder / "samples" / PHOTO).read_bytes()
    with open_network(imported) as network:
        assert_converts(network, imported, tmp_path)
        by_file = network.answer_files([photo])
        features = run_converted(network.convert_features("float32"), imported, tmp_path)
    assert by_file is not None
    assert by_file.argmax() == PANDA
    assert features.shape == (len(PICTURES), 64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input__height": 64}, r"expected an input of 64 x 32 x 3 .*, the network takes 32 x 32 x 3"),
        ({"output__classes": 6}, r"expected 6 classes \(pretrained.output.classes\), got 5 outputs"),
        ({"output__tensor": "final_resul:0"}, r"'final_resul:0', the graph has none \(but 'final_result'"),
        ({"input__tensor": "inpt:0"}, r"expected a tensor 'inpt:0', the graph has none \(but 'input'"),
        ({"input__tensor": "input:3"}, "TensorFlow cannot load the graph"),
        ({"output__tensor": "scores:0"}, r"activation is softmax, but the outputs lie between"),
        ({"output__activation": "logits"}, r"activation is logits, but .*: expected no probabilities"),
        ({"labels__names": ["ant", "bee"]}, r"expected names for 5 of 5 outputs .*, got 2"),
        ({"labels__offset": 1}, r"expected labels for 5 outputs .*, got one for output 5"),
    ],
)
def test_what_conf_says_wrongly_is_an_error_of_one_line(
    graph: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    pretrained = describe_network("frozen_graph", graph, **TENSORS | changes)
    with pytest.raises(ModelyardError, match=message) as refused:
        import_pretrained(pretrained, tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400
    assert not (tmp_path / "out").exists()


def test_an_input_of_text_is_an_error_of_one_line(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        entrance = tf.compat.v1.placeholder(tf.string, [None], name="input")
        tf.identity(entrance, name="final_result")
    path = tmp_path / "text.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(ModelyardError, match=r"expected an input of 32 x 32 x 3") as refused:
        import_pretrained(describe_network("frozen_graph", path, **TENSORS), tmp_path / "out")
    assert "\n" not in str(refused.value)


def test_an_answer_of_sigmoid_is_refused_where_softmax_is_declared(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "mine.pb", last="sigmoid")
    with pytest.raises(ModelyardError, match=r"expected probabilities with the sum 1"):
        import_pretrained(describe_network("frozen_graph", path, **TENSORS), tmp_path / "out")


def test_the_stage_imports_it_from_values_alone_and_says_one_line(
    graph: Path, tmp_path: Path, values: dict[str, Any]
) -> None:
    values["pretrained"] = describe_network("frozen_graph", graph, **TENSORS).model_dump(mode="json")
    values["serve"]["imported"] = "models:/mine@champion"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    command = [sys.executable, str(ROOT / "pipelines" / "import.py"), "--out", str(tmp_path / "out")]
    command += ["--params", str(tmp_path / "params.yaml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "mine from mine.pb: 5 labels, licence MIT, unproved\n"
    assert read_imported(tmp_path / "out").format == "frozen_graph"
