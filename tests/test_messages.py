"""What errors advise can be done: every setting, group and command that a message names is there."""

import ast
import re
from collections.abc import Iterator

from japagen.commands.main import COMMANDS
from japagen.config.explain import known_settings
from tests.conftest import ROOT

GROUPS = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}
OWN = {"n", "key", "replies"}
"""Settings that commands have for themselves, and a word that stands for any."""
SOURCES = [*(ROOT / "japagen").rglob("*.py"), *(ROOT / "launch").rglob("*.py"), ROOT / "run.py"]


def all_settings(path: str = "") -> Iterator[str]:
    """Dotted names; a task's also without `task.`, since its messages begin with the task."""
    for name in known_settings(path):
        below = f"{path}.{name}".strip(".")
        yield below
        yield below.removeprefix("task.")
        yield from all_settings(below)


def messages() -> Iterator[tuple[str, str]]:
    """(file:line, words) of every error that is raised; what is filled in is left out."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and node.exc is not None:
                constants = [part.value for part in ast.walk(node.exc) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
                yield f"{path.relative_to(ROOT)}:{node.lineno}", "\0".join(constants)


def unknown(pattern: str, known: set[str]) -> list[str]:
    return [f"{where} {name}" for where, words in messages() for name in re.findall(pattern, words) if name not in known]


def test_settings_are_there() -> None:
    known = {*all_settings()} | GROUPS | OWN
    assert {"llm.base_url", "data.eval_file", "attributes"} < known
    assert unknown(r"(?<![\w.{/'&-])([a-z_]+(?:\.[a-z_]+)*)=(?=[\w'{…])", known) == []


def test_commands_are_there() -> None:
    assert unknown(r"(?:`|\(|: )japagen ([a-z-]+)", set(COMMANDS)) == []
