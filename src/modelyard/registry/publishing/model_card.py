"""A version's model card, in Markdown: its README.md, and its description in MLflow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.evaluation.measures import name_classes, wilson_interval
from modelyard.inference.bundle import Bundle
from modelyard.inference.plain_text import escape
from modelyard.metrics import CATALOGUE
from modelyard.params import Card
from modelyard.registry.publishing.markdown import GAP, bullets, code, compress, table, words
from modelyard.tracking.runs import Dataset

# What an evaluation may leave, and what it shows.
PICTURES = {
    "mistakes.png": "The picture shows the surest mistakes, with truth, answer and score.",
    "top5.png": "The picture shows the sample pictures, each beside its best answers.",
}
# MLflow's databases take no longer description; what its run or README.md tells too is left out first.
MOST_CHARACTERS = 5000
DISPENSABLE = ("How it was trained", "How to serve it", "What it costs", "Where it comes from")
# Of more, the card has those that are known worst.
MOST_CLASSES = 20
# Metrics that a row of another one, or a sentence, holds.
IN_OTHER_ROWS = (
    *("test/accuracy", "test/accuracy_low", "test/accuracy_high"),
    *("agreement/images", "agreement/answers", "agreement/decoder_max_difference"),
)
# A parameter that is off is not told.
OFF = ("None", "none", "0.0")
# Nor what most networks have.
PLAIN = {"model.members": "1", "model.crop": "0", "model.first_filters": "learned"}
# MLflow's pages show an artifact of a logged model at this address, with its path behind.
ARTIFACTS = "ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files?artifact_file_path="


@dataclass(frozen=True)
class ModelCard:
    """What a card tells.

    Attributes:
        bundle: the version's bundle.
        version: its number.
        model_id: of its logged model, whose artifacts hold the card.
        text: a person's words.
        metrics: flat, as MLflow names them.
        dataset: what they were measured on.
        facts: the evaluation's report.json: images of each class, mistakes, what was timed on which machine.
        tags: the version's.
        picture: a file of one of the names in PICTURES; None where the evaluation left none.
        samples: a folder of pictures to try the version with; None likewise.
    """

    bundle: Bundle
    version: int
    model_id: str
    text: Card
    metrics: Mapping[str, float]
    dataset: Dataset
    facts: Mapping[str, Any]
    tags: Mapping[str, str]
    picture: Path | None
    samples: Path | None = None

    def readme(self) -> str:
        """Return the card as a file that lies beside its picture."""
        title = f"# {self.bundle.name}, version {self.version}"
        text = "\n\n".join([title, *self._sections("").values()])
        return escape(text.replace(GAP, ""), "\n") + "\n"

    def description(self) -> str:
        """Return the card as MLflow shows it, at most MOST_CHARACTERS long; digests are cut short.

        The list of versions shows the first line raw, so that line is a sentence, not a heading.
        """
        sections = self._sections(ARTIFACTS.format(model_id=self.model_id))
        dispensable = [heading for heading in DISPENSABLE if heading in sections]
        text = compress(escape("\n\n".join(sections.values()), "\n" + GAP))
        while len(text) > MOST_CHARACTERS and dispensable:
            del sections[dispensable.pop(0)]
            parts = [*sections.values(), "README.md in its artifacts tells more."]
            text = compress(escape("\n\n".join(parts), "\n" + GAP))
        return text[:MOST_CHARACTERS]

    def _sections(self, artifacts: str) -> dict[str, str]:
        """Return the sections' Markdown by their headings, which it begins with; "" is the summary.

        `artifacts` is the address of the version's artifacts, put before the name of one.
        """
        sections = {
            "What it is for": [bullets(self.text.intended_use)],
            "Where it fails, and what it is not for": [bullets(self.text.limits)],
            "Known mistakes" if self._mistakes() else "What it answers": [*self._shown(artifacts)],
            "How good it is": [*self._quality()],
            "What it costs": [*self._cost()],
            "Where it comes from": [self.text.data, *self._origin()],
            "How it was trained": [*self._training()],
            "How to serve it": [*self._serving()],
        }
        first = "\n\n".join([self._summary(), self.text.about, *self._warnings()])
        return {"": first} | {
            heading: "\n\n".join([f"## {heading}", *parts]) for heading, parts in sections.items() if parts
        }

    def _summary(self) -> str:
        metrics, images = self.metrics, self.dataset.images
        p50_ms, size_mb = metrics["latency/p50_ms"], metrics["size_bytes"] / 1e6
        cost = f"{p50_ms:.2f} ms an image, {size_mb:.1f} MB ({self.bundle.precision})"
        if "test/accuracy" in metrics:
            return (
                f"Right on {metrics['test/accuracy']:.2%} of {images:,} test images "
                f"(95 % interval {self._accuracy_interval()}), {cost}."
            )
        difference = f"{metrics['agreement/max_difference']:.1e}"
        if self._answered_alike():
            return f"Differs from its source by at most {difference} in a probability, {cost}."
        return (
            f"Gives its source's first answer on {metrics['agreement/same_first']:.0%} of {images} pictures, "
            f"largest difference in a probability {difference}, {cost}."
        )

    def _warnings(self) -> Iterator[str]:
        if "stand_in_for" in self.tags:
            yield (
                f"**It stands in for `{self.tags['stand_in_for']}`, which no source served**: "
                "other weights, other labels."
            )
        source = self.bundle.provenance.get("source", {})
        if source and source.get("recognised") is None and "stand_in_for" not in self.tags:
            yield (
                "**It is not proved on a labelled picture**: none came with it. Nothing here shows that "
                "pictures are prepared for it as in its training, or that its labels are in the right order."
            )

    def _answered_alike(self) -> bool:
        """Whether the source had one first answer for all pictures."""
        return self.metrics.get("agreement/answers") == 1

    def _mistakes(self) -> Sequence[Mapping[str, Any]]:
        """The wrong answers, surest first."""
        mistakes: Sequence[Mapping[str, Any]] = self.facts.get("mistakes", ())
        return mistakes

    def _shown(self, artifacts: str) -> Iterator[str]:
        for surest in self._mistakes()[:1]:
            name, truth, answer = (
                words(str(told))
                for told in (surest.get("name") or surest["index"], surest["truth"], surest["answer"])
            )
            yield (
                f"It is wrong on {self.metrics['test/errors']:,.0f} of {self.dataset.images:,} images, and "
                f"surest on {name}: {truth}, which it takes for {answer} with score {surest['score']:.3f}."
            )
        if self.picture is not None:
            name = self.picture.name
            yield f"{PICTURES[name]} (`{name}`, beside README.md in the version's artifacts)"
            yield f"![{name}]({artifacts}{name})"

    def _quality(self) -> Iterator[str]:
        images = f"{self.dataset.images:,} images"
        if "test/accuracy" in self.metrics:
            yield f"Measured as it is served, on {self.dataset.name}: {images} that it never saw in training."
        else:
            yield (
                f"Nothing here measures how often it is right: {images} without labels say only how "
                "close it is to the network that it was made from."
            )
        yield table(("measure", "value"), self._measures())
        if self._answered_alike():
            yield (
                "Its source's first answers to these pictures were all the same: that the two agree on them "
                "proves nothing, and the differences alone count."
            )
        if published := self._published():
            yield published
        classes = list(self._classes())
        if len(classes) > MOST_CLASSES:
            yield f"The {MOST_CLASSES} of its {len(classes):,} classes that it knows worst, by F1:"
            classes = sorted(classes, key=lambda one: one[0])[:MOST_CLASSES]
        elif classes:
            yield "Class by class:"
        if classes:
            yield table(
                ("class", "images", "precision", "recall", "95 % interval", "F1"), [row for _, row in classes]
            )
            yield "Precision: the share of right answers. Recall: the share of images that are found."

    def _published(self) -> str | None:
        """What its makers say of these very weights."""
        figures, source = self.text.published, self.bundle.provenance.get("source", {})
        if figures is None or source.get("network_sha256") != figures.sha256:
            return None
        return figures.text

    def _measures(self) -> Iterator[tuple[str, ...]]:
        metrics = self.metrics
        compared = f", on {metrics['agreement/images']:,.0f} images" if "agreement/images" in metrics else ""
        if "test/accuracy" in metrics:
            yield "accuracy", f"{metrics['test/accuracy']:.2%} (95 % interval {self._accuracy_interval()})"
        for name, metric in CATALOGUE.items():
            if name in metrics and name.startswith(("test/", "agreement/")) and name not in IN_OTHER_ROWS:
                note = compared if name == "agreement/same_first" else ""
                yield f"{metric.title}{note}", metric.show(metrics[name])

    def _classes(self) -> Iterator[tuple[float, tuple[str, ...]]]:
        """Give the F1 and the row of every class."""
        classes = self.facts.get("images_per_class", {})
        for (name, images), known in zip(classes.items(), name_classes(list(classes)), strict=True):
            of_class = {
                measure: self.metrics.get(f"class/{known}/{measure}")
                for measure in ("precision", "recall", "f1")
            }
            if None not in of_class.values():
                precision, recall, f1 = (float(value or 0) for value in of_class.values())
                interval = _interval(wilson_interval(round(recall * images), images))
                yield (
                    f1,
                    (words(name), f"{images:,}", f"{precision:.2%}", f"{recall:.2%}", interval, f"{f1:.2%}"),
                )

    def _cost(self) -> Iterator[str]:
        metrics = self.metrics
        p50_ms, p99_ms = metrics["latency/p50_ms"], metrics["latency/p99_ms"]
        rows = (
            ("one image, p50 / p99", f"{p50_ms:.2f} / {p99_ms:.2f} ms"),
            ("loading", CATALOGUE["load_ms"].show(metrics["load_ms"])),
            ("size", f"{metrics['size_bytes']:,.0f} bytes, {self.bundle.precision}"),
        )
        yield table(("measure", "value"), rows)
        what = self.facts.get("latency", {}).get("input", "one image")
        yield f"Timed with {what}, on {self.facts.get('processor', 'the machine that evaluated it')}."

    def _origin(self) -> Iterator[str]:
        yield table(("what", "value"), self._origins())
        yield "The version's tags hold digests and libraries in full."

    def _origins(self) -> Iterator[tuple[str, str]]:
        tags = self.tags
        trained_on = self._trained_with().get("run", {}).get("dataset", {})
        if trained_on:
            yield "training data", f"{trained_on['name']}, {trained_on['images']:,} images"
        yield from _known(tags, ("source", "source"), ("homepage", "homepage"), ("licence", "licence"))
        yield from _known(tags, ("data's digest" if trained_on else "files' digest", "data.digest"))
        yield "measured on", f"{self.dataset.name}, {self.dataset.images:,} images"
        yield "its digest", self.dataset.digest
        if "git.commit" in tags:
            state = {"true": " and uncommitted changes", "false": ""}.get(tags.get("git.dirty", ""), "")
            yield "commit", tags["git.commit"] + state
        yield from _known(tags, ("parameters' digest", "params.digest"), ("bundle's digest", "content_key"))

    def _training(self) -> Iterator[str]:
        training = self._trained_with()
        if not training:
            return
        chosen = join_groups(training["run"]["params"])
        if "weights" in training:
            chosen["weights"] = f"{training['weights']:,}"
        if "fit_s" in training:
            chosen["fitted in"] = f"{training['fit_s']:.1f} s"
        yield table(("parameter", "value"), chosen.items())
        if self.tags.get("git.dirty") == "false":
            yield "`make repro` at that commit, with these values in conf/, trains it again."
        else:
            yield "That commit lacks changes that it was trained with."

    def _trained_with(self) -> Mapping[str, Any]:
        training: Mapping[str, Any] = self.bundle.provenance.get("training", {})
        return training

    def _serving(self) -> Iterator[str]:
        name, number = self.bundle.name, self.version
        grey = self.bundle.preprocessing.channels == 1
        image, kind = ("picture.png", "image/png") if grey else ("picture.jpg", "image/jpeg")
        yield (
            "With MLflow, in an environment with the version's requirements.txt, and MLFLOW_TRACKING_URI as "
            "`python -m modelyard.tracking.address` prints it:"
        )
        yield code(
            f"mlflow models serve -m models:/{name}/{number} --env-manager local --port 5001 &",
            f"""base64 -w0 {image} | sed 's/.*/{{"instances": ["&"], "params": {{"top_k": 3}}}}/' |""",
            "    curl -s localhost:5001/invocations -H 'Content-Type: application/json' -d @-",
        )
        yield "With modelyard, which also follows `champion`:"
        yield code(
            f"modelyard serve --model {name} --port 8080 &",
            f"curl -s 'localhost:8080/models/{name}/versions/{number}/predict?top_k=3' "
            f"-H 'Content-Type: {kind}' --data-binary @{image}",
        )

    def _accuracy_interval(self) -> str:
        return _interval((self.metrics["test/accuracy_low"], self.metrics["test/accuracy_high"]))


def _known(tags: Mapping[str, str], *wanted: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Give those rows whose tag there is."""
    for label, tag in wanted:
        if tag in tags:
            yield label, tags[tag]


def _interval(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"{low:.2%} to {high:.2%}"


def join_groups(params: Mapping[str, str]) -> dict[str, str]:
    """Put a run's parameters into a row each group below model or train, without those that are off.

    `{"train.schedule.name": "cosine", "train.schedule.warmup": "0.1"}` becomes
    `{"train.schedule": "name cosine, warmup 0.1"}`.
    """
    rows: dict[str, list[str]] = {}
    for key, value in params.items():
        if value not in OFF and PLAIN.get(key) != value:
            group, name, *below = key.split(".")
            rows.setdefault(f"{group}.{name}", []).append(" ".join([*below, value.replace("'", "")]))
    return {key: ", ".join(values) for key, values in rows.items()}
