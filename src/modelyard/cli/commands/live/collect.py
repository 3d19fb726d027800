"""Collect labelled pictures from live answers, to train on.

Write the labelled pictures of recorded answers to OUT/train/CLASS and OUT/recent/CLASS, without copies and
pictures of the test split. A share of them, conf/monitor's `recent`, is set aside by the pictures' digests:
only evaluation reads it. `dvc add OUT` then versions the folder, and `data.additions` in the
dataset's file in conf/data names it.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from modelyard.cli.arguments import add_json, add_name, add_since, add_tables, open_tables
from modelyard.cli.output import say, say_json
from modelyard.errors import ModelyardError

DEFAULT_SINCE = "30d"


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_name(command)
    add_since(command, DEFAULT_SINCE)
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the pictures go")
    add_tables(command)
    add_json(command)


def run(given: argparse.Namespace) -> None:
    """Write the pictures."""
    from modelyard.images.additions.additions import digest_pictures
    from modelyard.images.pictures import read_pictures
    from modelyard.monitoring.labels.collecting import Wish, collect
    from modelyard.params import load_params
    from modelyard.registry.comparison.splits import SOURCE, TEST_SPLIT
    from modelyard.repository import find_root

    root, now = find_root(), datetime.now(UTC)
    params = load_params(root / "params.yaml")
    if given.name != params.data.name:
        raise ModelyardError(
            f"expected {params.data.name}, whose test split this repository has, got {given.name}: choose "
            "its dataset with `dvc exp run -S data=...` first"
        )
    test = read_pictures(root / TEST_SPLIT, root / SOURCE)
    wish = Wish(given.name, now - given.since, now, test.classes, params.monitor.recent)
    try:
        collected = collect(open_tables(given.tables), wish, digest_pictures(test), given.out)
    except OSError as error:
        raise ModelyardError(f"--out {given.out}: expected a folder to write: {error}") from None
    if given.json:
        say_json({"written": collected.written, "left_out": collected.left_out})
        return
    for line in collected.skipped.describe():
        say(line, error=True)
    for reason, count in collected.left_out.items():
        say(f"left out, {reason}: {count:,}")
    told = ", ".join(f"{count:,} in {split}/" for split, count in sorted(collected.written.items())) or "none"
    say(f"{given.out}: labelled pictures written or there already: {told}")
