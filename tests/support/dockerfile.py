"""A Dockerfile and its .dockerignore, read as Docker reads them, as far as this project uses them."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_STEPS = {"FROM", "ENV", "WORKDIR", "COPY", "RUN"}
_SETTINGS = {"LABEL", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


@dataclass(frozen=True)
class Instruction:
    """`KEYWORD --flag=value text`."""

    keyword: str
    flags: dict[str, str]
    text: str

    @property
    def is_step(self) -> bool:
        """Whether it makes something; the others say how the image is used."""
        return self.keyword in _STEPS

    @property
    def words(self) -> list[str]:
        """The list of an exec form, also of the one in HEALTHCHECK; the words of anything else."""
        text = self.text.removeprefix("CMD").strip()
        words = json.loads(text) if text.startswith("[") else shlex.split(text)
        return [str(word) for word in words]


def read_dockerfile(text: str) -> list[Instruction]:
    """Return the instructions in their order.

    Raises:
        ValueError: one is not understood here, whether or not Docker would.
    """
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\s*\n\s*", " ", "\n".join(lines))
    return [_read_instruction(line.strip()) for line in joined.splitlines() if line.strip()]


def _read_instruction(line: str) -> Instruction:
    keyword, _, text = line.partition(" ")
    keyword, text = keyword.upper(), text.strip()
    if keyword not in _STEPS | _SETTINGS:
        raise ValueError(f"expected one of {', '.join(sorted(_STEPS | _SETTINGS))}, got {line!r}")
    flags = {}
    while match := re.match(r"--([a-z-]+)=(\S+)\s+", text):
        flags[match[1]] = match[2]
        text = text[match.end() :]
    return Instruction(keyword, flags, text)


def read_settings(instructions: list[Instruction]) -> dict[str, list[str]]:
    """Return what the last stage says of the image's use: the words by keyword."""
    start = max(number for number, one in enumerate(instructions) if one.keyword == "FROM")
    return {one.keyword: one.words for one in instructions[start:] if not one.is_step}


class Context:
    """The files of a folder that a build may see: those that .dockerignore leaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        lines = (folder / ".dockerignore").read_text().splitlines()
        patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        self._rules = [(_compile(one.removeprefix("!").strip("/")), one.startswith("!")) for one in patterns]

    def find(self, source: str) -> Iterator[Path]:
        """Yield the paths of a file, or of all files in a folder, relative to the context.

        Raises:
            FileNotFoundError: there is nothing that a build would see.
        """
        start = self.folder / source
        found = sorted(start.rglob("*")) if start.is_dir() else [start]
        seen = [path.relative_to(self.folder) for path in found if path.is_file()]
        seen = [path for path in seen if self._sees(path)]
        if not seen:
            raise FileNotFoundError(f"COPY {source}: nothing of it is in the build's context")
        yield from seen

    def _sees(self, path: Path) -> bool:
        """The last rule that fits a file or a folder above it decides."""
        names = [path.as_posix(), *(parent.as_posix() for parent in path.parents[:-1])]
        seen = True
        for rule, allows in self._rules:
            if any(rule.fullmatch(name) for name in names):
                seen = allows
        return seen


def _compile(pattern: str) -> re.Pattern[str]:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(parts.get(piece, re.escape(piece)) for piece in pieces))
