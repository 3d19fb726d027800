"""A version's model card, in Markdown: its README.md, and its description in MLflow."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.evaluation.measures.shares import wilson_interval
from modelyard.inference.plain_text import escape
from modelyard.metrics import CATALOGUE
from modelyard.plots.contact_sheet import show_share
from modelyard.registry.parameter_words import show_setting
from modelyard.registry.publishing.headline import write_headline
from modelyard.registry.publishing.markdown import GAP, bullets, compress, table, words
from modelyard.registry.publishing.publication import Publication

TEMPLATE = "card.jinja"
# The files that an evaluation may leave, and what they show.
PICTURES = {
    "mistakes.png": "The picture shows the surest mistakes, with truth, answer and score.",
    "top5.png": "The picture shows the sample pictures, each beside its best answers.",
}
# MLflow's databases take no longer description; what its run or README.md has too is left out first.
MOST_CHARACTERS = 5000
DISPENSABLE = ("How it was trained", "How to serve it", "What it costs", "Where it comes from")
# Of more classes, the card shows those with the lowest F1.
MOST_CLASSES = 20
# Metrics that another row or a sentence shows.
IN_OTHER_ROWS = (
    *("test/accuracy", "test/accuracy_low", "test/accuracy_high"),
    *("agreement/images", "agreement/answers", "agreement/decoder_max_difference"),
)
# Parameters that are off, or as in most networks, are left out.
OFF = ("None", "none", "0.0")
PLAIN = {
    "model.input": "pixels",
    "model.members": "1",
    "model.crop": "0",
    "model.first_filters": "learned",
    "train.precision": "float32",
}
# MLflow shows an artifact of a logged model at this address, followed by its path.
ARTIFACTS = "ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files?artifact_file_path="


@dataclass(frozen=True)
class ModelCard:
    """The contents of a card."""

    publication: Publication
    version: int
    model_id: str  # of its logged model, whose artifacts hold the card
    tags: Mapping[str, str]  # the version's, and what its version.json says

    @property
    def picture(self) -> Path | None:
        """A file with a name in PICTURES; None if the evaluation left none."""
        found = (self.publication.report / "plots" / name for name in PICTURES)
        return next(filter(Path.is_file, found), None)

    def readme(self) -> str:
        """Return the card as a file that lies beside its picture."""
        text = f"# {self.publication.bundle.name}, version {self.version}\n\n{self._render('')}"
        return escape(text.replace(GAP, ""), "\n") + "\n"

    def description(self) -> str:
        """Return the card as MLflow shows it, at most MOST_CHARACTERS long; digests are cut short.

        The list of versions shows the first line raw, so that line is a sentence, not a heading.
        """
        text = self._render(ARTIFACTS.format(model_id=self.model_id))
        found = compress(escape(text, "\n" + GAP))
        for heading in DISPENSABLE:
            if len(found) <= MOST_CHARACTERS:
                break
            text = re.sub(rf"(?ms)^## {heading}\n.*?(?=^## |\Z)", "", text)
            shorter = f"{text.rstrip()}\n\nREADME.md in its artifacts tells more."
            found = compress(escape(shorter, "\n" + GAP))
        return found[:MOST_CHARACTERS]

    def _render(self, artifacts: str) -> str:
        """Return the card's Markdown without its title; `artifacts` is put before a picture's name."""
        from jinja2 import Environment, FileSystemLoader

        templates = Environment(  # noqa: S701  # not HTML
            loader=FileSystemLoader(Path(__file__).parent), trim_blocks=True, lstrip_blocks=True
        )
        templates.globals |= {"bullets": bullets, "show_share": show_share, "table": table, "words": words}
        told = self.publication
        training = told.bundle.provenance.get("training", {})
        classes = list(self._classes())
        worst = sorted(classes, key=lambda one: one[0])[:MOST_CLASSES]
        rendered = templates.get_template(TEMPLATE).render(
            vars(told),
            artifacts=artifacts,
            catalogue=CATALOGUE,
            headline=write_headline(told.bundle, told.metrics),
            classes=[row for _, row in (worst if len(classes) > MOST_CLASSES else classes)],
            classes_measured=len(classes),
            measures=list(self._measures()),
            mistakes=told.facts.get("mistakes", ()),
            parameters=list_parameters(training) if training else {},
            picture=self.picture,
            pictures=PICTURES,
            source=told.bundle.provenance.get("source", {}),
            tags=self.tags,
            training=training,
            version=self.version,
        )
        return re.sub(r"\n{3,}", "\n\n", rendered).strip()

    def _measures(self) -> Iterator[tuple[str, str]]:
        metrics = self.publication.metrics
        compared = f", on {metrics['agreement/images']:,.0f} images" if "agreement/images" in metrics else ""
        if "test/accuracy" in metrics:
            interval = f"{metrics['test/accuracy_low']:.2%} to {metrics['test/accuracy_high']:.2%}"
            yield "accuracy", f"{metrics['test/accuracy']:.2%} (95 % interval {interval})"
            yield "on corrupted images", self._tell_robustness()
        if "recent/accuracy" in metrics:
            interval = f"{metrics['recent/accuracy_low']:.2%} to {metrics['recent/accuracy_high']:.2%}"
            title = f"accuracy on {self.publication.facts['recent']['images']:,} recent pictures"
            yield title, f"{metrics['recent/accuracy']:.2%} (95 % interval {interval})"
        for name, metric in CATALOGUE.items():
            shown = name.startswith(("test/", "unlike/", "agreement/")) and name not in IN_OTHER_ROWS
            if name in metrics and shown:
                note = compared if name == "agreement/same_first" else ""
                yield f"{metric.title}{note}", metric.show(metrics[name])

    def _tell_robustness(self) -> str:
        metrics, found = self.publication.metrics, self.publication.facts.get("robustness")
        if not found:
            return "not measured"
        mean, worst = (metrics[f"robustness/{of}_accuracy"] for of in ("mean", "worst"))
        return f"{mean:.2%}, worst {worst:.2%} ({found['worst']['title']})"

    def _classes(self) -> Iterator[tuple[float, tuple[str, ...]]]:
        facts = self.publication.facts
        for name, images in facts.get("images_per_class", {}).items():
            if scores := facts.get("classes", {}).get(name):
                precision, recall, f1 = (scores[measure] for measure in ("precision", "recall", "f1"))
                low, high = wilson_interval(round(recall * images), images)
                shares = f"{precision:.2%}", f"{recall:.2%}", f"{low:.2%} to {high:.2%}", f"{f1:.2%}"
                yield f1, (words(name), f"{images:,}", *shares)


def list_parameters(training: Mapping[str, Any]) -> dict[str, str]:
    """Return a training's parameters, a row for each group below model or train, and what came of it.

    `{"train.schedule.name": "cosine", "train.schedule.warmup": "0.1"}` becomes
    `{"train.schedule": "name cosine, warmup 0.1"}`.
    """
    rows: dict[str, list[str]] = {}
    for key, value in training["run"]["params"].items():
        if value not in OFF and PLAIN.get(key) != value:
            group, name, *below = key.split(".")
            rows.setdefault(f"{group}.{name}", []).append(" ".join([*below, show_setting(value)]))
    chosen = {key: ", ".join(values) for key, values in rows.items()}
    if "weights" in training:
        chosen["weights"] = f"{training['weights']:,}"
    if "fit_s" in training:
        chosen["fitted in"] = f"{training['fit_s']:.1f} s"
    return chosen
