"""`make experiments`: what DVC tells becomes one narrow table, the fewest errors first."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import ModelyardError
from modelyard.overview.experiments_table import ask_dvc, draw_table, read_experiments

HEAD, TRIED = "c8e975230fd60dd2", "e5e145d756b06b18"
CARD = {"about": "Digits. " * 40}


def tell(rev: str, errors: int | None, model: dict[str, Any], epochs: int = 2) -> dict[str, Any]:
    """A revision as `dvc exp show --json` tells it."""
    values = {"data": {"name": "mnist", "card": CARD}, "model": model, "train": {"epochs": epochs}}
    report = {"float32": {"test": {"errors": errors, "accuracy": 0.98}, "size_bytes": 1_651_929}}
    metrics = {} if errors is None else {"reports/trained.json": {"data": report}}
    return {"rev": rev, "data": {"params": {"params.yaml": {"data": values}}, "metrics": metrics}}


def told(*groups: dict[str, Any]) -> list[dict[str, Any]]:
    """A workspace and HEAD with experiments."""
    model = {"name": "cnn", "batch_norm": True}
    return [tell("workspace", 68, model), {**tell(HEAD, 78, model), "name": "main", "experiments": groups}]


def run(name: str, state: str | None = None, **changes: Any) -> dict[str, Any]:
    revision = tell(TRIED, **{"errors": 60, "model": {"name": "mlp", "batch_norm": False}, **changes})
    return {"name": name, "executor": {"state": state} if state else None, "revs": [revision]}


def draw(*groups: dict[str, Any], width: int = 150) -> list[str]:
    return draw_table(list(read_experiments(told(*groups))), width)


def test_the_fewest_errors_come_first_and_what_is_not_known_last() -> None:
    lines = draw(run("slow-one", errors=231), run("best-one"), run("late-one", "Queued", errors=None))
    assert [line.split("  ")[0] for line in lines[1:6]] == [
        "best-one",
        "these files",
        "main",
        "slow-one",
        "late-one",
    ]
    assert "queued" in lines[5]


def test_a_row_has_figures_with_units_and_the_choices_that_differ_from_its_commit() -> None:
    row = draw(run("best-one", epochs=3))[1]
    assert row.split()[:6] == ["best-one", HEAD[:7], "60", "98.00%", "1.65", "MB"]
    assert row.endswith("  model.name=mlp, epochs=3, model.batch_norm=no")


def test_no_line_is_wider_than_asked_and_none_has_a_digest_or_a_card() -> None:
    lines = draw(run("best-one", model={"name": "x" * 300}), width=100)
    assert max(map(len, lines)) == 100
    assert "Digits" not in "".join(lines)
    assert TRIED not in "".join(lines)


def test_a_failed_experiment_is_said_to_have_failed() -> None:
    group = run("bad-one", errors=None)
    group["revs"][0]["error"] = {"msg": "it stopped"}
    assert "failed" in draw(group)[3]


def test_without_an_experiment_one_line_says_how_to_make_one() -> None:
    (line,) = draw()
    assert line.startswith(f"no experiments from {HEAD[:7]} yet: `dvc exp run -S model=mlp`")


def test_dvc_is_asked_in_a_real_repository_and_its_refusal_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelyardError, match=r"`dvc exp show` failed: .*DVC repo"):
        ask_dvc(1)
    for command in (
        ["git", "init", "-q"],
        [sys.executable, "-m", "dvc", "init", "-q"],
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "begun"],
    ):
        subprocess.run(command, check=True)
    (line,) = draw_table(list(read_experiments(ask_dvc(1))), 150)
    assert line.startswith("no experiments from ")
