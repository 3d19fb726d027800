"""The documentation holds together: its links lead somewhere, and the commands in it exist."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from modelyard.cli.main import make_parser

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks/README.md"]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(bash|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Words in capital letters stand for what a person fills in.
PLACEHOLDERS = {"NAME": "mnist", "VERSION": "1"}


def list_commands(page: Path, program: str) -> Iterator[list[str]]:
    """Give the arguments of `program`, wherever it is called in the blocks of a page."""
    for kind, block in BLOCK.findall(page.read_text()):
        lines = block.replace("\\\n", " ").splitlines()
        if kind == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in lines:
            words = shlex.split(line, comments=True)
            for part in _split_at_operators(words):
                if part[:1] == [program]:
                    yield [PLACEHOLDERS.get(word, word) for word in part[1:]]


def _split_at_operators(words: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in [*words, "&&"]:
        if word in ("&&", "||", "|", "&", ";"):
            yield part
            part = []
        else:
            part.append(word)


def make_anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if not link.startswith(("http:", "https:"))]
    broken = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor else []
        if not target.exists() or (anchor and anchor not in map(make_anchor, headings)):
            broken.append(link)
    assert broken == []


def test_every_page_of_the_documentation_is_reached_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in LINK.findall((ROOT / "README.md").read_text())}
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_modelyard_and_their_options_exist(page: Path) -> None:
    for words in list_commands(page, "modelyard"):
        assert callable(make_parser().parse_args(words).run)


def test_targets_of_make_and_stages_of_dvc_exist() -> None:
    targets = set(re.findall(r"^([.a-z/-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    stages = set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
    named = {
        word for page in PAGES for words in list_commands(page, "make") for word in words if "=" not in word
    }
    reproduced = {words[-1] for page in PAGES for words in list_commands(page, "dvc") if words[0] == "repro"}
    assert {"repro", "ui"} <= named <= targets
    assert reproduced <= stages


def test_presets_that_are_named_exist() -> None:
    groups = {folder.name for folder in (ROOT / "conf").iterdir() if folder.is_dir()}
    chosen = set()
    for page in PAGES:
        for words in list_commands(page, "dvc"):
            for option, value in pairwise(words):
                group, _, names = value.partition("=")
                if option == "-S" and group in groups:
                    chosen |= {(group, name) for name in names.split(",")}
    # These three stand for a file that the reader writes, or that a sweep does.
    chosen -= {("data", "mine"), ("pretrained", "mobilenet_file"), ("model", "cnn_swept")}
    assert ("model", "mlp") in chosen
    assert [one for one in chosen if not (ROOT / "conf" / one[0] / f"{one[1]}.yaml").is_file()] == []
