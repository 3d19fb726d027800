"""A LiteRT file of others: checked, run as it is, and joined with the steps around it."""

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.networks.convert import convert_function
from modelyard.networks.formats.graphdef import suggest
from modelyard.networks.joining import cut_model, join_models, read_model
from modelyard.networks.network import Floats, Original, Step, shorten
from modelyard.params import Precision

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


class LiteRtOriginal(Original):
    """A LiteRT file in an interpreter of its own."""

    def __init__(self, path: Path) -> None:
        """Check and load a .tflite.

        Raises ModelyardError if it does not map one float32 picture to one float32 output, or has an op that
        is not LiteRT's.
        """
        from ai_edge_litert.interpreter import Interpreter

        self._content = path.read_bytes()
        _check_model(self._content)
        try:
            self._interpreter = Interpreter(model_content=self._content)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelyardError(f"LiteRT cannot load it: {shorten(error)}") from None
        [taken], [given] = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._given_shape = [int(size) for size in given["shape"]]
        self.shape = [int(size) for size in taken["shape"]]

    def run(self, inputs: Floats) -> Floats:
        """See `Original.run`."""
        return _run(self._interpreter, inputs)

    def up_to(self, cut: str) -> Step:
        """See `Original.up_to`."""
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=self._cut(cut)[0])
        interpreter.allocate_tensors()
        return lambda inputs: _run(interpreter, inputs)

    def convert(
        self, before: Step, after: Step, shape: tuple[int, int, int], precision: Precision, cut: str | None
    ) -> bytes:
        """Join the file's own operations and weights, unchanged, with a small model before and one after."""
        if precision != "float32":
            raise ModelyardError(
                "expected precision float32, which leaves a .tflite as it is, got "
                f"{precision}: import the network that it was made of, or package float32 alone"
            )
        middle, given = self._content, self._given_shape
        if cut is not None:
            middle, given = self._cut(cut)
        last = convert_function(after, given[1:], "float32")
        return join_models(join_models(convert_function(before, shape, "float32"), middle), last)

    def _cut(self, tensor: str) -> tuple[bytes, list[int]]:
        details = {one["name"]: one for one in self._interpreter.get_tensor_details()}
        if tensor not in details:
            raise ModelyardError(
                f"expected a tensor {tensor!r}, the file has none{suggest(tensor, details)}: "
                "correct pretrained.features in conf/"
            )
        shape = [int(size) for size in details[tensor]["shape"]]
        return cut_model(self._content, int(details[tensor]["index"])), shape


def _run(interpreter: "Interpreter", inputs: Floats) -> Floats:
    [taken], [given] = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(taken["index"], inputs)
    interpreter.invoke()
    found: Floats = interpreter.get_tensor(given["index"])
    return found


def _check_model(content: bytes) -> None:
    from ai_edge_litert.schema_py_generated import BuiltinOperator, TensorType

    if content[4:8] != b"TFL3":
        raise ModelyardError(f"expected a LiteRT model (TFL3), got bytes {content[4:8]!r}")
    model = read_model(content)
    for code in model.operatorCodes:
        if code.builtinCode == BuiltinOperator.CUSTOM or code.customCode:
            name = (code.customCode or b"").decode(errors="replace")
            raise ModelyardError(f"the op {name!r} is not LiteRT's own (custom or flex): refused")
    graph = model.subgraphs[0]
    for place in (graph.inputs[0], graph.outputs[0]):
        tensor = graph.tensors[place]
        if tensor.type != TensorType.FLOAT32:
            kinds = {number: name for name, number in vars(TensorType).items() if isinstance(number, int)}
            raise ModelyardError(
                f"{tensor.name.decode(errors='replace')}: expected float32, got "
                f"{kinds.get(tensor.type, 'another type').lower()}: a fully quantised file is not read"
            )
