"""A comparison as one self-contained HTML page: both confusion matrices, and the images in dispute."""

import functools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures import Integers
from modelyard.files import replace_file
from modelyard.images.pictures import Pictures
from modelyard.inference.plain_text import escape
from modelyard.plots.thumbnails import embed_pixels, make_thumbnail
from modelyard.registry.comparison.comparison import Comparison, Disagreement, SameImages, Setting, Side
from modelyard.registry.comparison.test_split import TEST_SPLIT
from modelyard.registry.comparison.words import (
    count_both_wrong,
    give_verdict,
    name_version,
    show_interval,
    show_value,
)
from modelyard.registry.evidence import Evidence

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "page.html"
# Nobody looks through ten thousand pictures, and JSON has them all.
MOST_SHOWN = 2000
# Nor is a matrix of a thousand classes.
MOST_CLASSES = 40
# Longer names stand upright over their columns.
SHORT_NAME = 3


def write_page(path: Path, comparison: Comparison, pictures: Pictures | None) -> None:
    """Write the page, whole or not at all; without `pictures` it says how to get the test images."""
    with replace_file(path) as new:
        new.write_text(draw_page(comparison, pictures), encoding="utf-8")


def draw_page(comparison: Comparison, pictures: Pictures | None) -> str:
    """Return the page's HTML."""
    first, second, same = comparison.first, comparison.second, comparison.same_images
    of_classes = [one for one in comparison.measures if one.name.startswith("class/")]
    given = {
        "title": f"{first.name}: {name_version(first)} and {name_version(second)}",
        "verdict": give_verdict(comparison),
        "versions": (first, second),
        "measures": [one for one in comparison.measures if one not in of_classes],
        "class_measures": of_classes,
        "differences": {
            "Parameters": comparison.params,
            "Data": comparison.data,
            "Libraries": comparison.libraries,
            "Code": comparison.code,
        },
        "origin": _list_origin(first, second),
        "same": same,
        "has_pictures": pictures is not None,
        "test_split": TEST_SPLIT,
    }
    if same:
        given |= _describe_images(comparison, same) | _describe_disputes(comparison, same, pictures)
    return _open_templates().get_template(TEMPLATE).render(given)


@functools.cache
def _open_templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        # Names and labels from others stay text.
        finalize=lambda value: escape(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    templates.filters |= {
        "breakable": _break_name,
        "name_version": name_version,
        "show_interval": show_interval,
        "show_value": show_value,
    }
    return templates


def _break_name(name: str) -> str:
    """Let a phone break a name after its slashes, dots and underscores."""
    from markupsafe import Markup
    from markupsafe import escape as escape_html

    return Markup(re.sub("([/._])", r"\1<wbr>", escape_html(escape(name))))  # noqa: S704  # escaped just before


def _describe_images(comparison: Comparison, same: SameImages) -> dict[str, Any]:
    """Return the counts of right and wrong images, and both confusion matrices."""
    test, both_wrong = same.test, count_both_wrong(same)
    both_right = same.images - both_wrong - test.only_first - test.only_second
    places = _choose_classes(same)
    labels = [same.classes[place] for place in places]
    confusions = ((comparison.first, same.first_confusion), (comparison.second, same.second_confusion))
    return {
        "counts": (("right", (both_right, test.only_first)), ("wrong", (test.only_second, both_wrong))),
        "labels": labels,
        "long_names": max(map(len, labels)) > SHORT_NAME,
        "classes_left_out": len(same.classes) - len(places),
        "matrices": [_describe_matrix(evidence, confusion, places) for evidence, confusion in confusions],
    }


def _choose_classes(same: SameImages) -> Sequence[int]:
    """Return the places of the classes to show, in order: of many, those with the most mistakes."""
    wrong = same.first_confusion + same.second_confusion
    mistakes = wrong.sum(axis=0) + wrong.sum(axis=1) - 2 * wrong.diagonal()
    most: list[int] = np.argsort(-mistakes, kind="stable")[:MOST_CLASSES].tolist()
    return sorted(most)


def _describe_matrix(evidence: Evidence, confusion: Integers, places: Sequence[int]) -> dict[str, Any]:
    """Return a count and a heat for each pair of label and answer; right answers have no heat.

    The heat grows with the logarithm of the count, as in the evaluation's own picture.
    """
    mistakes = confusion * (1 - np.eye(len(confusion), dtype=np.int64))
    scale = math.log(max(10, int(mistakes.max())))

    def heat(row: int, column: int) -> float | None:
        return None if row == column else math.log(max(1, confusion[row, column])) / scale

    rows = [[(int(confusion[row, column]), heat(row, column)) for column in places] for row in places]
    wrong, images = int(mistakes.sum()), int(confusion.sum())
    return {"title": name_version(evidence), "wrong": wrong, "images": images, "rows": rows}


def _describe_disputes(comparison: Comparison, same: SameImages, pictures: Pictures | None) -> dict[str, Any]:
    """Return the images in dispute in three groups, the most confident wrong answer first."""
    first, second = comparison.first.version, comparison.second.version
    titles: dict[Side | None, str] = {
        "first": f"Only version {first} is right",
        "second": f"Only version {second} is right",
        None: "Both are wrong, each in its own way",
    }
    groups, room = [], MOST_SHOWN
    for right, title in titles.items():
        found = [one for one in same.disagreements if one.right == right]
        found.sort(key=lambda one: -max(score for answer, score in one.answers if answer != one.label))
        shown = [_describe_dispute(one, pictures) for one in found[:room]]
        room -= len(shown)
        if found:
            groups.append({"title": title, "count": len(found), "shown": shown})
    return {"groups": groups, "not_shown": len(same.disagreements) - (MOST_SHOWN - room)}


def _describe_dispute(one: Disagreement, pictures: Pictures | None) -> dict[str, Any]:
    image, missing = None, ""
    if pictures is not None:
        try:
            image = embed_pixels(make_thumbnail(pictures, one.index))
        except ModelyardError as error:
            missing = str(error)
    return {**asdict(one), "answers": one.answers, "image": image, "missing": missing}


def _list_origin(first: Evidence, second: Evidence) -> list[Setting]:
    rows: dict[str, Callable[[Evidence], str | None]] = {
        "registered": lambda one: f"{one.created:%Y-%m-%d %H:%M} UTC",
        "run": lambda one: one.run_id,
        "content key": lambda one: one.content_key,
        "measured on": lambda one: f"{one.dataset} {one.dataset_digest[:12]}",
    }
    return [Setting(name, tell(first), tell(second)) for name, tell in rows.items()]
