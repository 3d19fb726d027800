"""A parameter of a run in words, for cards and comparisons."""

import ast
from typing import Any


def show_setting(value: str) -> str:
    """Write a parameter in words: `[{'filters': 16, 'kernel': 5, ...}]` as `16 filters of 5x5, ...`."""
    if not value.startswith(("[", "(", "{")) and value not in ("True", "False", "None"):
        return value
    try:
        return _tell(ast.literal_eval(value))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        # Anybody can log a parameter.
        return value


def _tell(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case None | [] | ():
            return "none"
        case list() | tuple():
            return ("; " if isinstance(value[0], dict) else ", ").join(map(_tell, value))
        case {"filters": filters, "kernel": kernel, **rest}:
            stride, padding, pool = rest.get("stride", 1), rest.get("padding"), rest.get("pool", 1)
            steps = f", every {stride} pixels" if stride != 1 else ""
            edge = ", with a margin" if padding == "same" else ""
            return f"{filters} filters of {kernel}x{kernel}{steps}{edge}" + f", pooled by {pool}" * (
                pool != 1
            )
        case dict():
            return ", ".join(f"{key} {_tell(one)}" for key, one in value.items())
    return str(value)
