"""A comparison as one HTML page that stands alone: both confusion matrices, and the images in dispute."""

import base64
import html
import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from modelyard.errors import ModelyardError
from modelyard.evaluation.measures import Integers
from modelyard.files import replace_file
from modelyard.images.pictures import Pictures
from modelyard.plots.thumbnails import make_thumbnail
from modelyard.printing import escape
from modelyard.registry.comparison import Comparison, Disagreement, Measure, SameImages, Setting, Side
from modelyard.registry.comparison_words import (
    count_both_wrong,
    give_verdict,
    name_version,
    show_interval,
    show_value,
)
from modelyard.registry.evidence import Evidence
from modelyard.registry.page_style import STYLE
from modelyard.registry.test_split import TEST_SPLIT

# A page of ten thousand pictures is none to look at, and JSON has them all.
MOST_SHOWN = 2000
# Nor is a matrix of a thousand classes.
MOST_CLASSES = 40
# Names of more letters stand upright over their columns.
SHORT_NAME = 3
SIDES: tuple[Side, Side] = ("first", "second")


def write_page(path: Path, comparison: Comparison, pictures: Pictures | None) -> None:
    """Write the page, whole or not at all.

    Args:
        path: the file.
        comparison: what it shows.
        pictures: the test images of both versions; None where they are not on this machine, the page then
            tells how to get them, and lists the images in dispute all the same.
    """
    with replace_file(path) as new:
        new.write_text(draw_page(comparison, pictures), encoding="utf-8")


def draw_page(comparison: Comparison, pictures: Pictures | None) -> str:
    """Return the page's HTML."""
    first, second, same = comparison.first, comparison.second, comparison.same_images
    title = f"{first.name}: {name_version(first)} and {name_version(second)}"
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="verdict">{_text(give_verdict(comparison))}</p>',
        _measures(comparison, "Metrics", [one for one in comparison.measures if not _is_of_class(one)]),
        _explain_marks(),
    ]
    if same:
        parts += [_count_images(comparison, same), _matrices(comparison, same)]
        parts += [_dispute(comparison, same, pictures)]
    parts += [_differences(comparison), _classes(comparison), _origin(comparison)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _measures(comparison: Comparison, title: str, measures: Sequence[Measure]) -> str:
    rows = [[_name(one.name), *[_measured(one, side) for side in SIDES]] for one in measures]
    return f"<h2>{title}</h2>" + _table(_heads("metric", comparison), rows, title)


def _measured(measure: Measure, side: Side) -> str:
    value, interval = (
        (measure.first, measure.first_interval)
        if side == "first"
        else (measure.second, measure.second_interval)
    )
    shown = _text(show_value(measure.name, value))
    if measure.better == side:
        shown = f'<span class="better">{shown}</span>'
    return shown + (f"<small>{_text(show_interval(measure.name, interval))}</small>" if interval else "")


def _explain_marks() -> str:
    return (
        '<p class="grey">\u2713 marks the better number; in grey its 95 % interval. Whether the versions '
        "differ in accuracy, the sentence at the top says: it looks at the same images.</p>"
    )


def _count_images(comparison: Comparison, same: SameImages) -> str:
    first, second, test = comparison.first, comparison.second, same.test
    both_wrong = count_both_wrong(same)
    both_right = same.images - both_wrong - test.only_first - test.only_second
    rows = [
        [f"version {first.version} is right", f"{both_right:,}", f"{test.only_first:,}"],
        [f"version {first.version} is wrong", f"{test.only_second:,}", f"{both_wrong:,}"],
    ]
    heads = ["images", f"version {second.version} is right", f"version {second.version} is wrong"]
    return f"<h2>The same {same.images:,} images</h2>" + _table(heads, rows, "The same images")


def _matrices(comparison: Comparison, same: SameImages) -> str:
    both = (same.first_confusion, comparison.first), (same.second_confusion, comparison.second)
    places = _choose_classes(same)
    drawn = [_matrix(confusion, places, same.classes, name_version(evidence)) for confusion, evidence in both]
    rest = len(same.classes) - len(places)
    fewer = f" The {rest:,} classes with the fewest mistakes are left out." if rest else ""
    return (
        '<h2>What is taken for what</h2><p class="grey">Rows are labels, columns first answers; a pair that '
        f'never happened is blank.{fewer}</p><div class="sides">{"".join(drawn)}</div>'
    )


def _choose_classes(same: SameImages) -> Sequence[int]:
    """Return the places of the classes to show, in their order: of many, those with the most mistakes."""
    wrong = same.first_confusion + same.second_confusion
    mistakes = wrong.sum(axis=0) + wrong.sum(axis=1) - 2 * wrong.diagonal()
    most: list[int] = np.argsort(-mistakes, kind="stable")[:MOST_CLASSES].tolist()
    return sorted(most)


def _matrix(confusion: Integers, places: Sequence[int], classes: Sequence[str], title: str) -> str:
    mistakes = confusion * (1 - np.eye(len(confusion), dtype=np.int64))
    scale = math.log(max(10, int(mistakes.max())))
    heads = "".join(f'<th scope="col">{_text(classes[place])}</th>' for place in places)
    rows = []
    for row in places:
        cells = [_matrix_cell(int(confusion[row, column]), row == column, scale) for column in places]
        rows.append(f'<tr><th scope="row">{_text(classes[row])}</th>{"".join(cells)}</tr>')
    wrong, images = int(mistakes.sum()), int(confusion.sum())
    caption = f"{_text(title)}: {wrong:,} of {images:,} wrong"
    kind = "matrix" if max(len(classes[place]) for place in places) <= SHORT_NAME else "matrix long"
    return _scrolling(
        f'<table class="{kind}"><caption>{caption}</caption><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>",
        f"Confusion matrix of {title}",
    )


def _matrix_cell(count: int, right: bool, scale: float) -> str:
    """The colour of mistakes grows with the logarithm of their count, as in the evaluation's own picture."""
    if not count:
        return "<td></td>"
    if right:
        return f'<td class="right">{count:,}</td>'
    return f'<td class="wrong" style="--heat:{math.log(count) / scale:.2f}">{count:,}</td>'


def _dispute(comparison: Comparison, same: SameImages, pictures: Pictures | None) -> str:
    if not same.disagreements:
        return (
            "<h2>Images on which they disagree</h2><p>None: both give every image the same first answer.</p>"
        )
    first, second = comparison.first.version, comparison.second.version
    titles: dict[Side | None, str] = {
        "first": f"Only version {first} is right",
        "second": f"Only version {second} is right",
        None: "Both are wrong, each in its own way",
    }
    count = len(same.disagreements)
    parts = [f"<h2>Images on which they disagree: {count:,}</h2>"]
    if pictures is None:
        parts.append(
            f"<p>The images are not here: expected <code>{TEST_SPLIT}</code> with the digest "
            f"<code>{_text(comparison.first.dataset_digest[:12])}</code>. <code>dvc pull</code> or "
            "<code>make repro</code> brings them; then compare again.</p>"
        )
    shown = 0
    for right, title in titles.items():
        group = sorted((one for one in same.disagreements if one.right == right), key=_sureness)
        room = group[: max(0, MOST_SHOWN - shown)]
        shown += len(room)
        if group:
            parts.append(f"<h3>{title}: {len(group):,}</h3>" + _hang(room, comparison, pictures))
    if shown < count:
        parts.append(f"<p>{count - shown:,} more are not shown; <code>--json</code> lists them all.</p>")
    return "\n".join(parts)


def _sureness(one: Disagreement) -> float:
    """Sort the surest wrong answer first."""
    answers = ((one.first, one.first_score), (one.second, one.second_score))
    return -max(score for answer, score in answers if answer != one.label)


def _hang(group: Sequence[Disagreement], comparison: Comparison, pictures: Pictures | None) -> str:
    if pictures is None:
        heads = [
            "image",
            "label",
            f"version {comparison.first.version}",
            f"version {comparison.second.version}",
        ]
        rows = [[_text(one.name), _text(one.label), *_answers(one)] for one in group]
        return _table(heads, rows, "Images in dispute")
    names = [f"v{evidence.version}" for evidence in (comparison.first, comparison.second)]
    items = []
    for one in group:
        said = "".join(
            f"<span>{name}: {answer}</span>" for name, answer in zip(names, _answers(one), strict=True)
        )
        picture = _show(pictures, one)
        items.append(
            f"<li>{picture}<span>label {_text(one.label)} <small>no. {one.index}</small></span>{said}</li>"
        )
    return f'<ul class="images">{"".join(items)}</ul>'


def _answers(one: Disagreement) -> list[str]:
    """Both answers with their scores; the right one in bold, with a mark."""
    shown = []
    for answer, score in ((one.first, one.first_score), (one.second, one.second_score)):
        text = f"<b>{_text(answer)} \u2713</b>" if answer == one.label else _text(answer)
        shown.append(f"{text} <small>{score:.2f}</small>")
    return shown


def _show(pictures: Pictures, one: Disagreement) -> str:
    """A small copy of the picture; of one that is gone or was changed, why it is not shown."""
    try:
        pixels = make_thumbnail(pictures, one.index)
    except ModelyardError as error:
        return f'<span class="grey">{_text(error)}</span>'
    seen = f"{_text(one.name)}, labelled {_text(one.label)}"
    return f'<img src="{_embed(pixels)}" alt="{seen}" title="{_text(one.name)}">'


def _embed(pixels: npt.NDArray[np.uint8]) -> str:
    """Grey levels as a PNG, which keeps them; a photo as a JPEG, a sixth of the size."""
    stream, kind = io.BytesIO(), "png" if pixels.ndim == 2 else "jpeg"
    Image.fromarray(pixels).save(stream, kind, optimize=True)
    return f"data:image/{kind};base64," + base64.b64encode(stream.getvalue()).decode()


def _differences(comparison: Comparison) -> str:
    kinds = (
        ("Parameters", comparison.params),
        ("Data", comparison.data),
        ("Libraries", comparison.libraries),
    )
    parts = ["<h2>What was done differently</h2>"]
    for kind, settings in kinds:
        if settings:
            parts.append(f"<h3>{kind}</h3>" + _settings(comparison, kind, settings))
        else:
            parts.append(f"<p>{kind}: the same.</p>")
    return "\n".join([*parts, "<h3>Code</h3>", _settings(comparison, "Code", comparison.code)])


def _settings(comparison: Comparison, title: str, settings: Sequence[Setting]) -> str:
    rows = [[_name(one.name), *[_setting(value) for value in (one.first, one.second)]] for one in settings]
    return _table(_heads("name", comparison), rows, title)


def _setting(value: str | None) -> str:
    return '<span class="grey">none</span>' if value is None else f"<code>{_text(value)}</code>"


def _classes(comparison: Comparison) -> str:
    measures = [one for one in comparison.measures if _is_of_class(one)]
    if not measures:
        return ""
    table = _measures(comparison, "Classes", measures)
    return f"<details><summary>Metrics of every class</summary>{table}</details>"


def _origin(comparison: Comparison) -> str:
    shown: dict[str, Callable[[Evidence], str]] = {
        "registered": lambda one: f"{one.created:%Y-%m-%d %H:%M} UTC",
        "run": lambda one: one.run_id or "none",
        "content key": lambda one: one.content_key,
        "measured on": lambda one: f"{one.dataset} {one.dataset_digest[:12]}",
    }
    rows = [
        [name, *[f"<code>{_text(say(one))}</code>" for one in (comparison.first, comparison.second)]]
        for name, say in shown.items()
    ]
    return "<h2>The versions</h2>" + _table(_heads("name", comparison), rows, "The versions")


def _is_of_class(measure: Measure) -> bool:
    return measure.name.startswith("class/")


def _heads(name: str, comparison: Comparison) -> list[str]:
    return [name, *[_text(name_version(one)) for one in (comparison.first, comparison.second)]]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], title: str) -> str:
    """Heads and cells are HTML; the first cell of a row is its head."""
    head = "".join(f'<th scope="col">{one}</th>' for one in heads)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return _scrolling(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", title)


def _scrolling(table: str, label: str) -> str:
    """Let a table that is wider than the screen scroll by itself, with the keyboard too."""
    return f'<div class="wide" role="region" aria-label="{_text(label)}" tabindex="0">{table}</div>'


def _name(name: str) -> str:
    """A name that may be broken after its slashes, dots and underscores, on a phone."""
    broken = re.sub("([/._])", r"\1<wbr>", _text(name))
    return f"<code>{broken}</code>"


def _text(value: object) -> str:
    return html.escape(escape(str(value)))
