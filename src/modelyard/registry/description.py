"""A version's description: plain sentences first, then its numbers as Markdown tables."""

from collections.abc import Mapping

from modelyard.inference.bundle import Bundle
from modelyard.tracking.runs import Dataset

ORIGIN = ("source", "licence", "stand_in_for", "data.digest", "params.digest", "git.commit", "git.dirty")


def describe_version(
    bundle: Bundle, metrics: Mapping[str, float], dataset: Dataset, tags: Mapping[str, str]
) -> str:
    """Write Markdown for a person who must choose a version.

    MLflow's version list shows the first line raw, so that line is a sentence, not a heading.
    """
    measured = {name: _number(value) for name, value in metrics.items() if not name.startswith("class/")}
    origin = {name: tags[name] for name in ORIGIN if name in tags}
    return "\n\n".join(
        [
            _summary(bundle, metrics, dataset),
            *_stand_in_note(tags),
            f"**Measured on {dataset.name}** ({dataset.images:,} images)",
            _table("measure", measured),
            "**Where it comes from**",
            _table("what", origin),
            f"**Serve it**: `mlflow models serve -m models:/{bundle.name}/VERSION --env-manager local`",
        ]
    )


def _summary(bundle: Bundle, metrics: Mapping[str, float], dataset: Dataset) -> str:
    p50_ms, size_mb = metrics["latency/p50_ms"], metrics["size_bytes"] / 1e6
    cost = f"{p50_ms:.2f} ms an image, {size_mb:.1f} MB ({bundle.precision})"
    if "test/accuracy" in metrics:
        low, high = metrics["test/accuracy_low"], metrics["test/accuracy_high"]
        return (
            f"Right on {metrics['test/accuracy']:.2%} of {dataset.images:,} test images "
            f"(95 % interval {low:.2%} to {high:.2%}), {cost}."
        )
    return (
        f"Gives its source's first answer on {metrics['agreement/same_first']:.0%} of {dataset.images} "
        "photos, "
        f"largest difference in a probability {metrics['agreement/max_difference']:.1e}, {cost}."
    )


def _stand_in_note(tags: Mapping[str, str]) -> list[str]:
    if "stand_in_for" not in tags:
        return []
    return [f"Stands in for `{tags['stand_in_for']}`, which no source served: other weights, other labels."]


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _table(heading: str, rows: Mapping[str, str]) -> str:
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join([f"| {heading} | |", "|---|---|", *lines])
