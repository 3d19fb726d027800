"""What is published: a measured bundle with its card and its gate, as earlier stages and conf/ have it."""

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
from modelyard.registry.publishing.precision import Verdict, weigh_int8
from modelyard.tracking.lineage import digest, plain
from modelyard.tracking.runs import Dataset

Role: TypeAlias = Literal["trained", "imported"]


@dataclass(frozen=True)
class Publication:
    """What is published: a bundle, what was measured on it, and where both came from.

    Attributes:
        bundle: the bundle.
        metrics: flat, as MLflow names them: {"test/accuracy": 0.992}.
        dataset: what the metrics were measured on.
        report: the folder with the pictures and tables of the evaluation.
        network: the `.keras` file that training left, for models trained here.
        params_digest: of the parameters that an imported bundle was made with; a trained one brings its own.
        facts: what the evaluation's report.json says beside the metrics.
        card: a person's words for the version's card.
        verdict: whether it becomes champion at once, not only when it is the first of its name; None where
            nothing but that is asked.
        gate: to be asked about a new version; None leaves that to a person.
    """

    bundle: Bundle
    metrics: Mapping[str, float]
    dataset: Dataset
    report: Path
    network: Path | None
    params_digest: str
    facts: Mapping[str, Any]
    card: Card
    verdict: Verdict | None = None
    gate: Gate | None = None

    @property
    def evaluated(self) -> str:
        """A digest of what was measured."""
        return digest({"metrics": dict(self.metrics), "facts": dict(self.facts)})


def read_publications(
    role: Role, bundles: Path, reports: Path, network: Path, params: Params
) -> Iterator[tuple[str, Publication]]:
    """Gather what is published of a role from the folders that earlier stages wrote: float32, then int8.

    Args:
        role: whether it was trained here, or imported.
        bundles: the folder with a bundle for each precision that passed its proof; it may be missing.
        reports: the evaluations' folder, one folder a precision with report.json; metrics stand beside it.
        network: the `.keras` file that training left; it does not exist for an imported one.
        params: a card for every name, what an int8 bundle must reach, whether the gate is asked.

    Yields:
        The precision, and what is published in it.

    Raises:
        ModelyardError: a bundle was not evaluated, or conf/ does not know its name.
    """
    for folder in sorted(path for path in bundles.glob("*") if path.is_dir()):
        measured = _read_metrics(reports.with_name(f"{reports.name}.json"), folder.name)
        bundle = read_bundle(folder)
        report = reports / folder.name
        facts = json.loads((report / "report.json").read_text())
        entry = _choose_entry(list_entries(params), bundle.name)
        verdict = None
        if role == "imported" and bundle.precision == "int8" and "float32" in measured:
            # What was trained here has no twin: another training is no reason to move its champion.
            verdict = weigh_int8(measured["int8"], measured["float32"], params.package.int8)
        yield (
            folder.name,
            Publication(
                bundle,
                measured[folder.name],
                Dataset(**facts["dataset"]),
                report,
                network if network.is_file() else None,
                params_digest=_digest_import(params),
                facts=facts,
                card=entry.card,
                verdict=verdict,
                gate=entry.gate if params.registry.auto_promote else None,
            ),
        )


def _read_metrics(path: Path, precision: str) -> dict[str, dict[str, float]]:
    """Return the flat metrics of every precision, of which `precision` must be one."""
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
            f"expected a bundle of {' or '.join(sorted(entries))}, which conf/ has a card and a gate of, got "
            f"{name}: `dvc repro` packages what conf/ names"
        )
    return entries[name]


def _digest_import(params: Params) -> str:
    """Digest what an imported bundle was made with: not the words and the rules for it."""
    words: Any = {"card": True, "gate": True, "fallback": {"card"}}
    pretrained = params.pretrained.model_dump(mode="json", exclude=words)
    return digest({"pretrained": pretrained, "package": plain(params.package)})
