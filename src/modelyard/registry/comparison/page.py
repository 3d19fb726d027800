"""Comparisons as one self-contained HTML page: confusion matrices, and the images in dispute."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures.classification import Integers
from modelyard.images.pictures import Pictures
from modelyard.inference.plain_text import escape
from modelyard.plots.contact_sheet import show_share
from modelyard.plots.thumbnails import embed_pixels, make_thumbnail
from modelyard.registry.comparison.comparison import Comparison, Disagreement, SameImages, Side
from modelyard.registry.comparison.side_by_side import Columns
from modelyard.registry.comparison.splits import TEST_SPLIT
from modelyard.registry.comparison.templates import open_templates
from modelyard.registry.comparison.words import (
    give_verdict,
    join,
    name_version,
    show_interval,
    show_value,
)
from modelyard.registry.evidence import Evidence
from modelyard.registry.parameter_words import show_setting

TEMPLATE = "page.html"
# Nobody looks through ten thousand pictures, and JSON has them all.
MOST_SHOWN, MOST_UNFOLDED = 2000, 20
# Nor is a matrix of a thousand classes.
MOST_CLASSES = 40
# Longer names stand upright over their columns.
SHORT_NAME = 3


def draw_page(comparisons: Sequence[Comparison], pictures: Pictures | None) -> str:
    """Return the page's HTML; all comparisons have the same first version.

    Without `pictures` it says how to get the test images.
    """
    columns = Columns(comparisons)
    measures, kinds = columns.measures(), ("class/",)
    given = {
        "title": f"{columns.versions[0].name}: {join([*map(name_version, columns.versions)])}",
        "verdicts": [give_verdict(one) for one in comparisons],
        "versions": columns.versions,
        "measures": {name: row for name, row in measures.items() if not name.startswith(kinds)},
        "class_measures": {name: row for name, row in measures.items() if name.startswith(kinds)},
        "differences": columns.settings(),
        "origin": _list_origin(columns.versions),
        "has_pictures": pictures is not None,
        "test_split": TEST_SPLIT,
        "unfolded": MOST_UNFOLDED,
        **_describe_matrices(columns),
        **_describe_pairs(comparisons, pictures),
    }
    templates = open_templates(Path(__file__).parent)
    templates.filters |= {
        "breakable": _break_name,
        "name_version": name_version,
        "show_interval": show_interval,
        "show_setting": show_setting,
        "show_share": show_share,
        "show_value": show_value,
    }
    return templates.get_template(TEMPLATE).render(given)


def _break_name(name: str) -> str:
    """Let a phone break a name after its slashes, dots and underscores."""
    from markupsafe import Markup
    from markupsafe import escape as escape_html

    # As a plain string: what re.sub puts into Markup would be escaped once more.
    text = str(escape_html(escape(name)))
    return Markup(re.sub("([/._])", r"\1<wbr>", text))  # noqa: S704  # escaped just before


def _describe_matrices(columns: Columns) -> dict[str, Any]:
    """Return every version's confusion matrix: a count and a heat for each pair of label and answer.

    The heat of the mistakes grows with the logarithm of their count, on one scale for all versions; right
    answers have none.
    """
    looked = [one.same_images for one in columns.comparisons if one.same_images]
    if not looked:
        return {"matrices": ()}
    confusions = [looked[0].first_confusion, *(one.second_confusion for one in looked)]
    mistakes = [confusion - np.diag(confusion.diagonal()) for confusion in confusions]
    scale = math.log(max(10, *(int(one.max()) for one in mistakes)))
    places = _choose_classes(np.sum(mistakes, axis=0))
    labels = [looked[0].classes[place] for place in places]

    def heat(row: int, column: int, count: int) -> float | None:
        return None if row == column else math.log(max(1, count)) / scale

    def describe(version: Evidence, confusion: Integers) -> dict[str, Any]:
        counts = [[(row, column, int(confusion[row, column])) for column in places] for row in places]
        rows = [[(cell[2], heat(*cell)) for cell in row] for row in counts]
        images, right = int(confusion.sum()), int(confusion.trace())
        return {"title": name_version(version), "wrong": images - right, "images": images, "rows": rows}

    return {
        "labels": labels,
        "long_names": max(map(len, labels)) > SHORT_NAME,
        "classes_left_out": len(looked[0].classes) - len(places),
        "matrices": [describe(*one) for one in zip(columns.versions, confusions, strict=True)],
    }


def _choose_classes(mistakes: Integers) -> Sequence[int]:
    """Return the places of the classes to show, in order: of many, those with the most mistakes."""
    most: list[int] = np.argsort(-(mistakes.sum(axis=0) + mistakes.sum(axis=1)), kind="stable").tolist()
    return sorted(most[:MOST_CLASSES])


def _describe_pairs(comparisons: Sequence[Comparison], pictures: Pictures | None) -> dict[str, Any]:
    """Return for each two versions the counts of right and wrong images, and those in dispute."""
    pairs, room = [], MOST_SHOWN
    for one in comparisons:
        if same := one.same_images:
            groups = _group_disputes(one, same, pictures, room)
            shown = sum(len(group["shown"]) for group in groups)
            room -= shown
            pair = {"versions": (one.first, one.second), "images": same.images, "groups": groups}
            disputes = len(same.disagreements)
            pair |= {"counts": _count(same), "disputes": disputes, "not_shown": disputes - shown}
            pairs.append(pair)
    return {"pairs": pairs}


def _count(same: SameImages) -> Sequence[tuple[str, tuple[int, int]]]:
    """Count the images by whether the first version is right, and then the second."""
    test, wrong = same.test, int(same.first_confusion.sum() - same.first_confusion.trace())
    # Alike or not.
    both_wrong = wrong - test.only_second
    both_right = same.images - both_wrong - test.only_first - test.only_second
    return ("right", (both_right, test.only_first)), ("wrong", (test.only_second, both_wrong))


def _group_disputes(
    comparison: Comparison, same: SameImages, pictures: Pictures | None, room: int
) -> list[dict[str, Any]]:
    """Return at most `room` images in dispute in three groups, the most confident wrong answer first.

    Images that only the newer version gets right come first.
    """
    numbers: dict[Side, int] = {"first": comparison.first.version, "second": comparison.second.version}
    titles: dict[Side | None, str] = {
        side: f"Only version {numbers[side]} is right"
        for side in sorted(numbers, key=lambda one: -numbers[one])
    }
    groups = []
    for right, title in {**titles, None: "Both are wrong, each in its own way"}.items():
        found = [one for one in same.disagreements if one.right == right]
        found.sort(key=lambda one: -max(score for answer, score in one.answers if answer != one.label))
        shown = [_describe_dispute(one, pictures) for one in found[:room]]
        room -= len(shown)
        if found:
            groups.append({"title": title, "count": len(found), "shown": shown})
    return groups


def _describe_dispute(one: Disagreement, pictures: Pictures | None) -> dict[str, Any]:
    image, missing = None, ""
    if pictures is not None:
        try:
            image = embed_pixels(make_thumbnail(pictures, one.index))
        except ModelyardError as error:
            missing = str(error)
    return {**asdict(one), "answers": one.answers, "image": image, "missing": missing}


def _list_origin(versions: Sequence[Evidence]) -> dict[str, list[str | None]]:
    rows: dict[str, Callable[[Evidence], str | None]] = {
        "registered": lambda one: f"{one.created:%Y-%m-%d %H:%M} UTC",
        "run": lambda one: one.run_id,
        "content key": lambda one: one.content_key,
        "measured on": lambda one: f"{one.dataset} {one.dataset_digest[:12]}",
    }
    return {name: [tell(one) for one in versions] for name, tell in rows.items()}
