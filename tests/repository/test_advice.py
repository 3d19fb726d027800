"""What messages and docstrings tell people to run is there: targets, stages, commands with their options."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from modelyard.cli.main import make_parser

# `dvc repro STAGE`, `make TARGET ARGUMENTS`; a name in braces is filled in later.
QUOTED = re.compile(r"`(make|modelyard|dvc repro)(?: ([^`]+))?`")
# Stand for what a message fills in, or a person does.
WORD = re.compile(r"\{[^}]*\}|[A-Z]+")


def list_advice(program: str) -> Iterator[list[str]]:
    """Give the words after `program`, wherever the project's code names it in backquotes."""
    for folder in ("src", "pipelines"):
        for file in sorted([*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.jinja")]):
            for found, rest in QUOTED.findall(_join_strings(file)):
                if found == program and "..." not in rest:
                    yield WORD.sub("word", rest).split()


def test_every_target_is_one_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {words[0] for words in list_advice("make")}
    assert "repro" in named
    assert named <= targets


def test_every_stage_is_one_of_the_pipeline() -> None:
    stages = set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
    said = {word for words in list_advice("dvc repro") for word in words}
    named = {word for word in said if not word.startswith("-")} - {"word"}
    assert "compose" in named
    assert named <= stages


def test_every_command_has_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    advised = [words for words in list_advice("modelyard") if words]
    assert ["prune", "word", "--unfinished", "--delete"] in advised
    refused = [words for words in advised if not _is_taken(words)]
    assert refused == [], capsys.readouterr().err


def _is_taken(words: list[str]) -> bool:
    """Say whether the command line takes it; a command alone may leave out its arguments."""
    try:
        make_parser().parse_args([*words, "--help"] if len(words) == 1 else words)
    except SystemExit as exit_:
        return exit_.code == 0
    return True


def _join_strings(file: Path) -> str:
    """The text of a file, with string literals that follow one another as one."""
    return re.sub(r"\"\s*\n\s*f?\"", "", file.read_text())
