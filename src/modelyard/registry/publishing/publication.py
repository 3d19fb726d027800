"""What is published: a measured bundle, whether it becomes champion, its card and its gate."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Bundle, read_bundle
from modelyard.nesting import flatten
from modelyard.params import Card, Gate, Params
from modelyard.params.catalogue import Entry, list_entries
from modelyard.registry.champions.precision import PrecisionChoice, weigh_int8
from modelyard.tracking.lineage import digest
from modelyard.tracking.runs import LoggedDataset

Role: TypeAlias = Literal["trained", "imported"]


@dataclass(frozen=True)
class Publication:
    """A bundle, what was measured on it, and where both came from."""

    bundle: Bundle
    metrics: Mapping[str, float]  # flat, as MLflow names them: {"test/accuracy": 0.992}
    dataset: LoggedDataset  # what the metrics were measured on
    report: Path  # the folder with the evaluation's pictures and tables
    network: Path | None  # the `.keras` file, for models trained here
    params_digest: str  # of the parameters that an imported bundle was made with
    # The evaluation's report.json: images of each class, mistakes, what was timed on which machine.
    facts: Mapping[str, Any]
    card: Card  # a person's words for the version's card
    # Whether it becomes champion at once; None if only the first of its name does.
    choice: PrecisionChoice | None = None
    gate: Gate | None = None  # checked for a new version; None leaves the promotion to a person

    @property
    def evaluated(self) -> str:
        """A digest of what was measured."""
        return digest({"metrics": dict(self.metrics), "facts": dict(self.facts)})


def read_publications(
    role: Role, bundles: Path, reports: Path, network: Path, params: Params
) -> Iterator[tuple[str, Publication]]:
    """Yield each precision of a role, float32 then int8, with what is published in it.

    `bundles` and `reports` have a folder for each precision, `reports` with a report.json; the metrics are in
    a file beside it. Neither `bundles` nor `network`, the `.keras` file, need exist. Raises ModelyardError if
    a bundle was not evaluated, or conf/ does not know its name.
    """
    for folder in sorted(path for path in bundles.glob("*") if path.is_dir()):
        measured = _read_metrics(reports.with_name(f"{reports.name}.json"), folder.name)
        bundle = read_bundle(folder)
        report = reports / folder.name
        facts = json.loads((report / "report.json").read_text())
        entry = _choose_entry(list_entries(params), bundle.name)
        choice = None
        if role == "imported" and bundle.precision == "int8" and "float32" in measured:
            # Only for imported networks: a new training alone is no reason to replace a champion.
            choice = weigh_int8(measured["int8"], measured["float32"], params.package.int8)
        yield (
            folder.name,
            Publication(
                bundle,
                measured[folder.name],
                LoggedDataset(**facts["dataset"]),
                report,
                network if network.is_file() else None,
                params_digest=_digest_import(params),
                facts=facts,
                card=entry.card,
                choice=choice,
                gate=entry.gate if params.registry.auto_promote else None,
            ),
        )


def _read_metrics(path: Path, precision: str) -> dict[str, dict[str, float]]:
    try:
        measured = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelyardError(
            f"{path}: expected the metrics of an evaluation ({error}): `dvc repro`"
        ) from None
    if precision not in measured:
        raise ModelyardError(
            f"{path}: expected {precision}, of which there is a bundle, got {', '.join(measured) or 'none'}: "
            "`dvc repro` evaluates it"
        )
    return {name: flatten(values, "/") for name, values in measured.items()}


def _choose_entry(entries: Mapping[str, Entry], name: str) -> Entry:
    if name not in entries:
        raise ModelyardError(
            f"expected a bundle of {' or '.join(sorted(entries))}, the models of conf/, got {name}: "
            "`dvc repro` packages what conf/ names"
        )
    return entries[name]


def _digest_import(params: Params) -> str:
    """Digest what an imported bundle was made with, without the card and the gate."""
    words: Any = {"card": True, "gate": True, "fallback": {"card"}}
    pretrained = params.pretrained.model_dump(mode="json", exclude=words)
    return digest({"pretrained": pretrained, "package": params.package.model_dump(mode="json")})
