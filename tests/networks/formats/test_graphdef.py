"""The frozen graph of 2015: what is refused, and that folding changes no answer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tensorflow.core.framework.graph_pb2 import GraphDef

from legacy_archive import CLASSES, SIZE, make_graph, make_photo
from legacy_graph_builder import MEAN, SCALE
from modelyard.errors import ModelyardError
from modelyard.networks.formats.allowed_ops import BATCH_NORM, CHECK
from modelyard.networks.formats.folding import fold_batch_norm
from modelyard.networks.formats.frozen_graph import FrozenGraphOriginal
from modelyard.networks.formats.graphdef import parse_graph
from modelyard.networks.network import Network
from modelyard.params.groups.pretrained import Decoded, TensorEntrance, TensorExit

ENTRANCE = TensorEntrance(
    tensor="Mul:0",
    height=SIZE,
    width=SIZE,
    channels=3,
    fit="stretch",
    order="rgb",
    mean=(MEAN,),
    scale=(SCALE,),
)
EXIT = TensorExit(tensor="softmax:0", classes=CLASSES, named=1000, activation="softmax")
DECODED = Decoded(contents_tensor="DecodeJpeg/contents:0", pixels_tensor="Cast:0")
PIXELS = np.random.default_rng(5).integers(0, 256, (4, 60, 47, 3), np.uint8)


@pytest.fixture(scope="module")
def photo() -> bytes:
    return make_photo()


@pytest.fixture(scope="module")
def content(photo: bytes) -> bytes:
    return make_graph(photo).SerializeToString()


@pytest.fixture
def graph(content: bytes) -> GraphDef:
    return parse_graph(content)


def load(graph: GraphDef, exit_: TensorExit = EXIT, decoded: Decoded | None = DECODED) -> Network:
    reading = {"input": ENTRANCE.model_dump(), "output": exit_.model_dump(), "features": None}
    original = FrozenGraphOriginal(graph, ENTRANCE.tensor, exit_.tensor, decoded)
    return Network(original, reading, "graph.pb")


def answer(graph: GraphDef, **changes: Any) -> np.ndarray:
    return load(graph, EXIT.model_copy(update=changes)).answer(list(PIXELS))


def edit(graph: GraphDef, change: Callable[[GraphDef], None]) -> bytes:
    change(graph)
    return graph.SerializeToString()


def find(graph: GraphDef, name: str):
    return next(node for node in graph.node if node.name == name)


def test_a_folded_graph_answers_as_the_untouched_one(graph: GraphDef) -> None:
    folded = fold_batch_norm(graph)
    assert not {node.op for node in folded.node} & {BATCH_NORM, CHECK}
    np.testing.assert_allclose(answer(folded), answer(graph), atol=1e-6)


def test_folding_honours_scale_and_epsilon_of_every_node(graph: GraphDef) -> None:
    for node in graph.node:
        if node.op == BATCH_NORM:
            node.attr["scale_after_normalization"].b = not node.attr["scale_after_normalization"].b
            node.attr["variance_epsilon"].f *= 100
    np.testing.assert_allclose(answer(fold_batch_norm(graph)), answer(graph), atol=1e-6)


def test_folding_makes_a_graph_of_today_and_leaves_the_old_one_as_it_was(
    graph: GraphDef, content: bytes
) -> None:
    folded = fold_batch_norm(graph)
    assert folded.versions.producer > 9
    assert graph == GraphDef.FromString(content)


def test_nothing_waits_for_a_numeric_check_after_folding(graph: GraphDef) -> None:
    checks = {node.name for node in graph.node if node.op == CHECK}
    find(graph, "conv").input[0] = "conv/CheckNumerics:0"
    folded = fold_batch_norm(graph)
    read = {name.removeprefix("^").split(":")[0] for node in folded.node for name in node.input}
    assert checks
    assert not read & checks
    assert list(find(folded, "conv").input) == ["conv/batchnorm"]


def test_constants_that_would_abort_tensorflow_are_refused(graph: GraphDef) -> None:
    import tensorflow as tf

    axis = find(graph, "mixed/join/concat_dim")
    number = tf.make_tensor_proto(np.float32(3))
    axis.attr["value"].tensor.CopyFrom(number)
    with pytest.raises(ModelyardError, match="'mixed/join/concat_dim' declares DT_INT32 and holds DT_FLOAT"):
        parse_graph(graph.SerializeToString())
    axis.attr["dtype"].type = 46
    with pytest.raises(ModelyardError, match="declares type 46 and holds DT_FLOAT: refused"):
        parse_graph(graph.SerializeToString())
    axis.attr["dtype"].type = number.dtype
    with pytest.raises(
        ModelyardError, match=r"'mixed/join' \(Concat\) expected whole numbers from .*DT_FLOAT"
    ):
        parse_graph(graph.SerializeToString())


def test_a_file_is_answered_like_its_decoded_pixels(graph: GraphDef, photo: bytes) -> None:
    import tensorflow as tf

    network = load(graph)
    pixels = tf.io.decode_jpeg(photo).numpy()
    np.testing.assert_allclose(network.answer_files([photo]), network.answer([pixels]), atol=1e-6)


def test_what_the_graph_makes_of_pixels_is_what_the_fit_makes_of_them(graph: GraphDef) -> None:
    fitted = load(graph, decoded=None).answer(list(PIXELS))
    np.testing.assert_allclose(fitted, answer(graph), atol=1e-6)


def test_a_graph_of_a_later_version_with_the_old_batch_norm_runs(graph: GraphDef) -> None:
    expected = answer(graph)
    graph.versions.producer = 21
    np.testing.assert_array_equal(answer(parse_graph(graph.SerializeToString())), expected)


def test_an_unknown_op_is_refused_with_its_node(graph: GraphDef) -> None:
    content = edit(graph, lambda graph: graph.node.add(name="spy", op="ReadFile"))
    with pytest.raises(ModelyardError, match=r"^node 'spy' has the op 'ReadFile'"):
        parse_graph(content)


def test_a_function_in_the_graph_is_refused(graph: GraphDef) -> None:
    def add_function(graph: GraphDef) -> None:
        graph.library.function.add().signature.name = "hidden"

    with pytest.raises(ModelyardError, match="without functions, got the function 'hidden'"):
        parse_graph(edit(graph, add_function))


@pytest.mark.parametrize("wrong", [b"", b"<html>not here</html>", None])
def test_what_is_no_graph_is_refused(wrong: bytes | None, content: bytes) -> None:
    with pytest.raises(ModelyardError, match=r"^expected a frozen TensorFlow graph"):
        parse_graph(content[: len(content) // 2] if wrong is None else wrong)


def test_an_input_that_is_not_in_the_graph_is_named(graph: GraphDef) -> None:
    content = edit(graph, lambda graph: find(graph, "conv").input.append("^nowhere"))
    with pytest.raises(ModelyardError, match=r"node 'conv' reads '\^nowhere'"):
        parse_graph(content)


def test_two_nodes_of_one_name_are_refused(graph: GraphDef) -> None:
    content = edit(graph, lambda graph: graph.node.append(find(graph, "conv")))
    with pytest.raises(ModelyardError, match="expected one node 'conv', got 2"):
        parse_graph(content)


def test_a_batch_norm_without_a_convolution_of_its_own_is_refused(graph: GraphDef) -> None:
    find(graph, "conv_1/batchnorm").input[0] = "conv"
    with pytest.raises(ModelyardError, match=r"'conv_1/batchnorm': .* got Relu 'conv'"):
        fold_batch_norm(graph)


def test_a_batch_norm_that_reads_no_constant_is_refused(graph: GraphDef) -> None:
    find(graph, "conv_1/batchnorm").input[1] = "conv"
    with pytest.raises(
        ModelyardError, match="'conv_1/batchnorm': expected a constant 'conv', got the op Relu"
    ):
        fold_batch_norm(graph)


def test_a_constant_that_is_cut_short_is_refused(graph: GraphDef) -> None:
    for node in graph.node:
        if node.op == "Const":
            node.attr["value"].tensor.tensor_content = bytes(40)
    with pytest.raises(ModelyardError, match="expected a whole constant"):
        fold_batch_norm(graph)


def test_a_tensor_that_the_graph_lacks_is_named(graph: GraphDef) -> None:
    with pytest.raises(ModelyardError, match=r"'softmx:0', the graph has none \(but 'softmax'") as refused:
        answer(graph, tensor="softmx:0")
    assert len(str(refused.value)) < 200


def test_another_number_of_classes_is_refused(graph: GraphDef) -> None:
    with pytest.raises(ModelyardError, match=r"^graph\.pb: expected 1000 classes .*, got 1008 outputs"):
        answer(graph, classes=1000)


def test_a_graph_that_answers_nan_is_refused(graph: GraphDef) -> None:
    import tensorflow as tf

    biases = np.full(CLASSES, np.nan, np.float32)
    find(graph, "softmax/biases").attr["value"].tensor.CopyFrom(tf.make_tensor_proto(biases))
    with pytest.raises(ModelyardError, match="gave NaN"):
        answer(graph)
