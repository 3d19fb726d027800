"""The catalogue of metrics: what each is called, which direction is better, and how it is written.

A new metric is an entry here, and a line in `evaluation` that computes it.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Better: TypeAlias = Literal["higher", "lower"]


@dataclass(frozen=True)
class Metric:
    """What is known of a metric."""

    title: str
    better: Better | None = None  # which values are better, or None
    form: str = "{:#.3g}"  # of its number, for `str.format`
    unit: str = ""  # written after the number
    size: float = 1.0  # the value of one unit: 1e6 for bytes that are shown in MB

    def number(self, value: float) -> str:
        """Write a value without its unit."""
        return self.form.format(value / self.size).removesuffix(".")

    def show(self, value: float) -> str:
        """Write a value with its unit: `99.22%`, `0.44 MB`."""
        blank = "" if self.unit in ("", "%") else " "
        return f"{self.number(value)}{blank}{self.unit}"


def _share(title: str, better: Better | None = "higher") -> Metric:
    """Describe a share, 0..1, shown in per cent."""
    return Metric(title, better, "{:.2f}", "%", 0.01)


# By MLflow's names, the most important first; * is any class.
CATALOGUE = {
    "test/accuracy": _share("accuracy"),
    "test/accuracy_low": _share("lower end of the accuracy's 95 % interval", None),
    "test/accuracy_high": _share("upper end of the accuracy's 95 % interval", None),
    "test/errors": Metric("errors", "lower", "{:,.0f}"),
    "test/majority": _share("accuracy of always answering the most common class", None),
    "test/macro_f1": _share("F1, mean of the classes"),
    "test/log_loss": Metric("log loss", "lower", "{:.4f}"),
    "test/calibration_error": Metric(
        "calibration error (0: a score of 0.9 is right 9 times in 10)", "lower", "{:.4f}"
    ),
    "robustness/mean_accuracy": _share("accuracy on corrupted pictures, mean of the kinds"),
    "robustness/worst_accuracy": _share("accuracy on corrupted pictures, the worst kind"),
    "robustness/answers": Metric("corrupted pictures", None, "{:,.0f}"),
    "recent/accuracy": _share("accuracy on recent pictures"),
    "recent/accuracy_low": _share("lower end of its 95 % interval", None),
    "recent/accuracy_high": _share("upper end of its 95 % interval", None),
    "unlike/share": _share("pictures unlike the training pictures (1 in 100 validation pictures is)", None),
    "unlike/errors": _share("share of the errors that are among these", None),
    "agreement/same_first": _share("same first answer as its source"),
    "agreement/max_difference": Metric(
        "largest difference to a probability of its source", "lower", "{:.1e}"
    ),
    "agreement/decoder_max_difference": Metric(
        "largest difference that the image decoder makes to a probability", "lower", "{:.1e}"
    ),
    "agreement/images": Metric("images that it was compared with its source on", None, "{:,.0f}"),
    "agreement/answers": Metric("different first answers of its source", None, "{:,.0f}"),
    "latency/p50_ms": Metric("one image, median", "lower", unit="ms"),
    "latency/p99_ms": Metric("one image, 99th percentile", "lower", unit="ms"),
    "load_ms": Metric("loading", "lower", unit="ms"),
    "size_bytes": Metric("size", "lower", "{:,.2f}", "MB", 1e6),
    "train/accuracy": _share("accuracy on the training pictures"),
    "train/loss": Metric("loss on the training pictures", "lower"),
    "train/seconds": Metric("time of an epoch", "lower", "{:.1f}", "s"),
    "validation/accuracy": _share("accuracy on the validation pictures"),
    "validation/loss": Metric("loss on the validation pictures", "lower"),
    "class/*/precision": _share("precision of a class"),
    "class/*/recall": _share("recall of a class"),
    "class/*/f1": _share("F1 of a class"),
}
_ORDER = {name: place for place, name in enumerate(CATALOGUE)}


def find_metric(name: str) -> Metric:
    """Return a metric by MLflow's name; the name of an unknown one is its title."""
    return CATALOGUE.get(_general(name)) or Metric(name)


def is_comparable(name: str) -> bool:
    """Return whether versions can be compared by a metric; one without a better direction describes data."""
    known = CATALOGUE.get(_general(name))
    return known is None or known.better is not None


def importance(name: str) -> tuple[int, str]:
    """Return a key to sort names by: the catalogue's order, then unknown ones by name."""
    return _ORDER.get(_general(name), len(_ORDER)), name


def _general(name: str) -> str:
    """Replace the name of a class, which may hold slashes, by *."""
    if name.startswith("class/"):
        return f"class/*/{name.rpartition('/')[2]}"
    return name
