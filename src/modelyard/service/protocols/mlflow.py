"""MLflow's protocol at /invocations, for the default model: the same requests, answers and status codes.

Different on purpose: errors never quote the input; a Parquet file is a 400, as CSV is in MLflow; a request
without a Content-Type is a 415, where MLflow's server fails with a 500.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from modelyard.service.http.refusals import Refusal
from modelyard.service.models.models import ServedVersion
from modelyard.service.protocols.dialect import (
    JSON,
    Answers,
    Drawn,
    Payload,
    Written,
    check_count,
    check_nodes,
)

COLUMN = "image"
TABLES = ("text/csv", "application/vnd.apache.parquet")
_PARAMS = ("top_k", "on_error")
# MLflow's names for what went wrong; all 4xx are INVALID_PARAMETER_VALUE.
_CODES = {500: "INTERNAL_ERROR", 503: "TEMPORARILY_UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


class MlflowDialect:
    """Reads requests and writes answers as MLflow's scoring server does."""

    def parse(self, headers: Mapping[bytes, bytes], query: str, body: bytes, max_items: int) -> Payload:  # noqa: ARG002
        """Read one of the four JSON shapes with its params.

        Raises Refusal for another type (415), too many images (413), or no images in one of these shapes
        (400).
        """
        _check_type(headers.get(b"content-type", b"").decode("latin-1"))
        check_nodes(body, max_items)
        fields = _load(body)
        given = fields.keys() & _SHAPES.keys()
        if len(given) != 1:
            raise Refusal(400, f"expected exactly one of {', '.join(_SHAPES)}, got {len(given)} of them")
        shape = given.pop()
        images = _SHAPES[shape](fields[shape])
        check_count(len(images), max_items)
        return Payload(images, **_read_params(fields.get("params")))

    def write(self, served: ServedVersion, payload: Payload, answers: Answers, inputs: Drawn) -> Written:  # noqa: ARG002
        """Write the answers alone, as MLflow does."""
        return Written(orjson.dumps({"predictions": answers}))

    def refuse(self, refusal: Refusal) -> tuple[bytes, str]:
        """Write MLflow's error object; a 415 is plain text."""
        if refusal.status == 415:
            return refusal.message.encode(), "text/plain; charset=utf-8"
        code = _CODES.get(refusal.status, "INVALID_PARAMETER_VALUE")
        return orjson.dumps({"error_code": code, "message": refusal.message}), JSON


def _check_type(content_type: str) -> None:
    kind, *parameters = (part.strip() for part in content_type.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name != "charset":
            raise Refusal(415, "expected no other parameter of the content type than charset")
        if value.lower() != "utf-8":
            raise Refusal(415, "expected the charset utf-8")
    if kind in TABLES:
        raise Refusal(400, f"expected {JSON}; images do not come in tables")
    if kind != JSON:
        raise Refusal(415, f"expected the content type {JSON}")


def _load(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _load_leniently(body)
    if not isinstance(value, dict):
        raise Refusal(400, f"expected a JSON object, got {type(value).__name__}")
    return value


def _load_leniently(body: bytes) -> Any:
    """Read JSON with Python's reader, as MLflow does: NaN is allowed, and encodings other than UTF-8."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "not text, or nested too deeply"
        raise Refusal(400, f"the body is not JSON: {reason}") from None


def _read_params(params: Any) -> dict[str, Any]:
    """Return the parameters in the model's signature; MLflow ignores all others."""
    if params is None:
        return {}
    if not isinstance(params, dict):
        raise Refusal(400, f"params: expected an object, got {type(params).__name__}")
    return {name: params[name] for name in _PARAMS if params.get(name) is not None}


def _read_split(value: Any) -> list[Any]:
    if not isinstance(value, dict) or "data" not in value or value.keys() - {"columns", "data", "index"}:
        raise Refusal(400, "dataframe_split: expected an object with columns and data")
    columns, rows, index = value.get("columns"), value["data"], value.get("index")
    if not isinstance(columns, list) or columns.count(COLUMN) != 1:
        raise Refusal(400, f"dataframe_split: expected one column named {COLUMN!r}")
    if not isinstance(rows, list):
        raise Refusal(400, f"dataframe_split: expected data with a list of rows, got {type(rows).__name__}")
    if len(columns) == 1 and not any(isinstance(row, list) for row in rows):
        # pandas accepts bare cells if there is one column.
        rows = [[row] for row in rows]
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        raise Refusal(400, "dataframe_split: expected rows as long as columns")
    if index is not None and not (isinstance(index, list) and len(index) == len(rows)):
        raise Refusal(400, "dataframe_split: expected an index as long as data")
    place = columns.index(COLUMN)
    return _spread([row[place] for row in rows])


def _read_records(value: Any) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(record, dict) for record in value):
        raise Refusal(400, "dataframe_records: expected a list of objects")
    if value and not any(COLUMN in record for record in value):
        raise Refusal(400, f"dataframe_records: expected a column named {COLUMN!r}")
    return _spread([record.get(COLUMN) for record in value])


def _read_instances(value: Any) -> list[Any]:
    """Read images or objects; MLflow turns objects into columns, which must have one length."""
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        return _read_inputs(value)
    if not all(isinstance(item, dict) for item in value):
        raise Refusal(400, "instances: expected either objects or images, got both")
    columns: dict[str, list[Any]] = {}
    for item in value:
        for name, cell in item.items():
            columns.setdefault(name, []).append(cell)
    if COLUMN not in columns:
        raise Refusal(400, f"instances: expected objects with the key {COLUMN!r}")
    if len({len(column) for column in columns.values()}) != 1:
        raise Refusal(400, "instances: expected objects with the same keys")
    cells = columns[COLUMN]
    if any(map(_holds_text, cells)) and len({len(cell) if _holds_text(cell) else -1 for cell in cells}) != 1:
        raise Refusal(400, f"instances: expected as many images under each {COLUMN!r}")
    return _spread(cells)


def _read_inputs(value: Any) -> list[Any]:
    """Read images, objects with an image each, or one object with a column of images."""
    if isinstance(value, dict):
        if COLUMN not in value:
            raise Refusal(400, f"expected the key {COLUMN!r}")
        value = value[COLUMN] if isinstance(value[COLUMN], list) else [value[COLUMN]]
    if not isinstance(value, list):
        raise Refusal(400, f"expected a list of images, got {type(value).__name__}")
    if value and all(isinstance(item, dict) for item in value):
        return _read_records(value)
    if value and isinstance(value[0], int | float):
        raise Refusal(400, "expected a list of images, got numbers; put one image into a list of its own")
    return _spread(value)


def _spread(cells: list[Any]) -> list[Any]:
    """Return the images of all cells: a list of texts is several images, a list of numbers is one."""
    return [image for cell in cells for image in (cell if _holds_text(cell) else [cell])]


def _holds_text(cell: Any) -> bool:
    return isinstance(cell, list) and all(isinstance(item, str) for item in cell[:1])


_SHAPES: dict[str, Callable[[Any], list[Any]]] = {
    "dataframe_split": _read_split,
    "dataframe_records": _read_records,
    "instances": _read_instances,
    "inputs": _read_inputs,
}
