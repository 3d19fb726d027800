"""LiteRT models with something wrong in their build, packed again as whole files."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_models import pack

NUMBERS = (0, 1, -1, 2, 7, 100, 255, 2**15, 2**24, 2**31 - 1, -(2**31))
MOST_NUMBERS = 100
FLOATS = (0.0, -1.0, 1e38, float("inf"), float("nan"))


def crashing_model(model: bytes) -> bytes:
    """Return a model that calls a tensor between two operators float16; LiteRT aborts over that."""
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    graph = tree.subgraphs[0]
    graph.tensors[graph.operators[-2].inputs[0]].type = schema.TensorType.FLOAT16
    return pack(tree)


def mutate(model: bytes, count: int) -> Iterator[bytes]:
    """Yield mutants of a model, each with up to three fields changed; always the same ones."""
    seed = made = 0
    while made < count:
        choose = random.Random(seed)  # noqa: S311  # no secret
        seed += 1
        tree = schema.ModelT.InitFromPackedBuf(model, 0)
        fields: dict[tuple[str, str], list[Any]] = {}
        _collect(tree, fields)
        for _ in range(choose.choice((1, 1, 2, 3))):
            kind = choose.choice(sorted(fields))
            node = choose.choice(fields[kind])
            setattr(node, kind[1], _change(getattr(node, kind[1]), choose))
        try:
            mutant = pack(tree)
        except Exception:  # noqa: S112  # no file can say this
            continue
        made += 1
        yield mutant


def _collect(node: Any, fields: dict[tuple[str, str], list[Any]]) -> None:
    for name, value in vars(node).items():
        # Weights may be anything: they end no process, and take long to pack.
        if not (isinstance(value, np.ndarray) and len(value) > MOST_NUMBERS):
            fields.setdefault((type(node).__name__, name), []).append(node)
        for inner in value if isinstance(value, list) else [value]:
            if hasattr(inner, "InitFromPackedBuf"):
                _collect(inner, fields)


def _change(value: Any, choose: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | np.integer):
        return choose.choice((*NUMBERS, int(value) + 1, int(value) * 2))
    if isinstance(value, float):
        return choose.choice(FLOATS)
    if not isinstance(value, list | np.ndarray) or len(value) == 0:
        return None
    values, place = list(value), choose.randrange(len(value))
    match choose.randrange(4):
        case 0:
            return values[:place]
        case 1:
            return values + values[:1]
        case 2:
            values[place] = choose.choice(values)
        case 3 if isinstance(values[place], int | float | np.number):
            values[place] = _change(np.asarray(values[place]).item(), choose)
        case 3:
            choose.shuffle(values)
    return values
