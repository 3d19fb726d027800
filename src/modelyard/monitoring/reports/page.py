"""A report as one self-contained HTML page, with the pictures that a version was least sure of."""

from pathlib import Path
from typing import Any

from modelyard.images.pictures import LIMITS
from modelyard.inference.decoding.images import ImageError, decode
from modelyard.monitoring.findings import Verdict
from modelyard.monitoring.reports.report import Report
from modelyard.monitoring.reports.words import (
    SUBJECTS,
    compare_pair,
    give_verdict,
    show_accuracy,
    show_corrected,
    show_effect,
    show_limit,
    show_shares,
)
from modelyard.monitoring.tables.kept_images import read_image
from modelyard.monitoring.tables.places import Place
from modelyard.monitoring.tallies import Unsure
from modelyard.plots.thumbnails import SIDE, embed_pixels, shrink
from modelyard.registry.comparison.templates import open_templates

TEMPLATE = "page.html"


def draw_page(report: Report, place: Place | None = None) -> str:
    """Return the page's HTML; without `place` it has no pictures, which may be personal data."""
    model = report.question.model
    pictures = {
        one: _embed(place, model, one) for section in report.sections for one in section.total.unsure if place
    }
    templates = open_templates(Path(__file__).parent)
    helpers: list[Any] = [compare_pair, show_accuracy, show_corrected, show_effect, show_limit, show_shares]
    templates.globals |= {helper.__name__: helper for helper in helpers}
    templates.globals |= {"SUBJECTS": SUBJECTS, "ALARM": Verdict.ALARM, "ALIKE": Verdict.ALIKE}
    return templates.get_template(TEMPLATE).render(
        report=report, pictures=pictures, verdict=give_verdict(report), has_pictures=place is not None
    )


def _embed(place: Place, model: str, one: Unsure) -> str | None:
    found = read_image(place, model, one.sha256)
    if found is None:
        return None
    try:
        pixels = decode(found[0], LIMITS)
    except ImageError:
        return None
    return embed_pixels(shrink(pixels, SIDE))
