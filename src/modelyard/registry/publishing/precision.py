"""Which precision of an imported network is served: the closest to its source, then the fastest."""

from collections.abc import Mapping
from dataclasses import dataclass

from modelyard.params import Int8

# Of the time that float32 takes: less than a tenth is gained and lost from one run to the next.
FASTER = 0.9


@dataclass(frozen=True)
class Verdict:
    """Whether int8 takes the place of float32, and why, in words."""

    succeeds: bool
    reason: str


def weigh_int8(int8: Mapping[str, float], float32: Mapping[str, float], limits: Int8) -> Verdict:
    """Judge whether int8 takes the place of float32.

    Args:
        int8: its metrics, flat, measured in the same evaluation as those of float32.
        float32: as well.
        limits: how close to its source int8 must be.
    """
    same, difference = int8["agreement/same_first"], int8["agreement/max_difference"]
    # Where the source has one first answer to all pictures, those prove nothing.
    counts = int8.get("agreement/answers", 0) != 1
    if (counts and same < limits.min_same_first) or difference > limits.max_difference:
        found = f"the same first answer on {same:.2%}, largest difference {difference:.2g}"
        return Verdict(False, f"further from its source than package.int8 allows: {found}")
    fast, slow = int8["latency/p50_ms"], float32["latency/p50_ms"]
    times = f"an image takes {fast:.2f} ms in int8, {slow:.2f} ms in float32"
    if fast < FASTER * slow:
        return Verdict(True, f"as close to its source as package.int8 asks, and faster here: {times}")
    return Verdict(False, f"not faster here by more than a tenth: {times}")
