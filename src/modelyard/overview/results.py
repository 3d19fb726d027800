"""What `make repro` ends with: what was made, where to look, and what to try next."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from modelyard.inference.plain_text import escape
from modelyard.metrics import find_metric

# DVC writes it whenever a stage has run.
LOCK = Path("dvc.lock")


def main() -> int:
    """Print the three lines after a run that made something, nothing after one that did not.

    The pipeline has run well by now, so that a file which is not as expected costs only these lines.
    """
    parser = argparse.ArgumentParser(prog="make repro", description=__doc__)
    parser.add_argument("--since", type=float, required=True, help="when the run began, in Unix seconds")
    since = parser.parse_args().since
    try:
        if LOCK.stat().st_mtime >= since:
            print("\n" + "\n".join(escape(line) for line in tell_results(Path())))
    except (OSError, ValueError, LookupError, AttributeError, TypeError, yaml.YAMLError) as error:
        print(f"made, but not told what: {escape(repr(error))}", file=sys.stderr)
    return 0


def tell_results(root: Path) -> tuple[str, str, str]:
    """Return the lines about the repository at `root`, whose stages have run."""
    registered = json.loads((root / "registered.json").read_text())
    report = json.loads((root / "reports/trained.json").read_text())
    preset = yaml.safe_load((root / "params.yaml").read_text())["model"]["name"]
    made: dict[str, list[str]] = {}
    for key, one in registered.items():
        made.setdefault(one["name"], []).append(f"v{one['version']} ({_tell(key, preset, report)})")
    trained, *_ = (one for key, one in registered.items() if key.startswith("trained/"))
    mistakes = sorted(root.glob("reports/trained/*/plots/mistakes.png"))[:1]
    files = [str(path.relative_to(root)) for path in (*mistakes, root / "served/contact_sheet.png")]
    return (
        "made:  " + ", ".join(f"{name} {' and '.join(versions)}" for name, versions in made.items()),
        f"look:  `make ui` compares the versions; {' and '.join(files)}",
        f"next:  {_advise(root, trained['name'], trained['version'])}",
    )


def _tell(key: str, preset: str, report: Mapping[str, Any]) -> str:
    """Return a version's network with its errors; of an imported one its precision."""
    role, precision = key.split("/")
    if role != "trained":
        return precision
    test = report[precision]["test"]
    shown = (find_metric(f"test/{name}").show(test[name]) for name in ("accuracy", "errors"))
    return "{}, {}, {} errors".format(preset, *shown)


def _advise(root: Path, name: str, version: int) -> str:
    served = json.loads((root / "served/predictions.json").read_text())
    others = [uri.rpartition("/")[2] for uri in served if uri.startswith(f"models:/{name}/")]
    if others and str(version) not in others:
        return (
            f"v{others[0]} is served, not v{version}: `modelyard compare {name} {others[0]} {version}`, "
            f"then `modelyard promote {name} {version}`"
        )
    return (
        f"`modelyard serve --model {name}` and open its page; "
        "`dvc exp run -S model=cnn_fast`, then `make experiments`"
    )


if __name__ == "__main__":
    sys.exit(main())
