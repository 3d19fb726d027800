"""What a version is, in a few words: its card and its run begin with them."""

from collections.abc import Mapping

from modelyard.inference.bundle import Bundle


def name_variant(bundle: Bundle) -> str:
    """Return the preset that was trained; of an imported network, its own name and its precision."""
    training = bundle.provenance.get("training", {})
    preset = training.get("run", {}).get("params", {}).get("model.name")
    return str(preset) if preset else f"{bundle.name} {bundle.precision}"


def write_headline(bundle: Bundle, metrics: Mapping[str, float]) -> str:
    """Return `cnn_fast, 99.21 %, 79 errors`; without labels, how close it is to its source."""
    network, measured = name_variant(bundle), metrics.get
    if "test/errors" in metrics:
        errors = round(metrics["test/errors"])
        plural = "" if errors == 1 else "s"
        return f"{network}, {100 * metrics['test/accuracy']:.2f} %, {errors:,} error{plural}"
    if "agreement/same_first" not in metrics or measured("agreement/answers") == 1:
        return f"{network}, at most {measured('agreement/max_difference', 0):.1e} from its source"
    return f"{network}, its source's first answer on {100 * metrics['agreement/same_first']:.0f} %"
