"""A comparison in words and numbers, for the terminal and for the page."""

from collections.abc import Sequence

from modelyard.evaluation.measures.intervals import Interval
from modelyard.inference.origin import describe_network
from modelyard.metrics import find_metric
from modelyard.registry.comparison.comparison import Comparison
from modelyard.registry.evidence import Evidence


def name_version(evidence: Evidence) -> str:
    """Name a version with its network and its aliases: `version 3 (cnn, champion)`."""
    network = describe_network(
        evidence.params.get("model.name"), evidence.tags.get("precision"), evidence.name
    )
    known = ", ".join(filter(None, (network, *evidence.aliases)))
    return f"version {evidence.version} ({known})" if known else f"version {evidence.version}"


def join(names: Sequence[str]) -> str:
    """Write names as a list in a sentence: `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def show_value(name: str, value: float | None) -> str:
    """Write a metric with its unit; shares in per cent."""
    return "none" if value is None else find_metric(name).show(value)


def show_interval(name: str, interval: Interval, between: str = " to ") -> str:
    """Write both ends of an interval without the unit."""
    low, high = map(find_metric(name).number, interval)
    return f"{low}{between}{high}"


def show_p_value(p_value: float) -> str:
    """Write a p-value; a tiny one as a bound."""
    if p_value < 1e-6:
        return "p < 0.000001"
    return f"p = {p_value:.2g}" if p_value < 0.1 else f"p = {p_value:.2f}"


def give_verdict(comparison: Comparison) -> str:
    """Say in a sentence which version is right more often, and whether that may be luck."""
    first, second, same = comparison.first, comparison.second, comparison.same_images
    if first.version == second.version:
        return f"Both are version {first.version}: there is nothing to compare."
    if same is None:
        return (
            f"There is no accuracy to compare, because the images of {first.dataset} have no labels: "
            "agreement is with each version's own source."
        )
    test = same.test
    counts = (
        f"of {same.images:,} images, version {first.version} alone is right on {test.only_first:,} and "
        f"version {second.version} alone on {test.only_second:,} (McNemar's exact test, "
        f"{show_p_value(test.p_value)})"
    )
    if test.only_first == test.only_second:
        return f"Both are right equally often: {counts}."
    ahead = first if test.only_first > test.only_second else second
    if same.significant:
        return f"Version {ahead.version} is significantly more accurate: {counts}."
    return f"The difference is not significant and may be luck: {counts}."
