"""Which precision of an imported network becomes champion."""

from collections.abc import Mapping
from dataclasses import dataclass

from modelyard.params import Int8

# A gain of less than a tenth of float32's time is noise between runs.
FASTER = 0.9


@dataclass(frozen=True)
class PrecisionChoice:
    """Whether int8 takes the place of float32, and why, in words."""

    takes_place: bool
    reason: str


def weigh_int8(int8: Mapping[str, float], float32: Mapping[str, float], limits: Int8) -> PrecisionChoice:
    """Let int8 take the place of float32 if it is close enough to its source, and faster.

    Both are flat metrics, such as `latency/p50_ms` and `agreement/same_first`.
    """
    same, difference = int8["agreement/same_first"], int8["agreement/max_difference"]
    # If the source has the same first answer to all pictures, they prove nothing.
    counts = int8.get("agreement/answers", 0) != 1
    if (counts and same < limits.min_same_first) or difference > limits.max_difference:
        found = f"the same first answer on {same:.2%}, largest difference {difference:.2g}"
        return PrecisionChoice(False, f"further from its source than package.int8 allows: {found}")
    fast, slow = int8["latency/p50_ms"], float32["latency/p50_ms"]
    times = f"an image takes {fast:.2f} ms in int8, {slow:.2f} ms in float32"
    if fast < FASTER * slow:
        return PrecisionChoice(True, f"as close to its source as package.int8 asks, and faster here: {times}")
    return PrecisionChoice(False, f"not faster here by more than a tenth: {times}")
