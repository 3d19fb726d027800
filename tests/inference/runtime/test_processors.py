"""How a network is spread over the processors."""

import pytest

from modelyard.inference.runtime import processors
from modelyard.inference.runtime.processors import SMALL_BYTES, choose_pool


@pytest.mark.parametrize(
    ("cores", "size_bytes", "pool"),
    [
        (1, 1_000, (1, 1)),
        (2, 1_000, (2, 1)),
        (16, 1_000, (4, 1)),
        (1, SMALL_BYTES, (1, 1)),
        (2, SMALL_BYTES, (1, 2)),
        (4, SMALL_BYTES, (2, 2)),
        (16, SMALL_BYTES, (4, 2)),
    ],
)
def test_small_networks_get_an_interpreter_for_each_core_and_large_ones_two_cores_for_each(
    cores: int, size_bytes: int, pool: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "count_processors", lambda: cores)
    assert choose_pool(size_bytes) == pool
