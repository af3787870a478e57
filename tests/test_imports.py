"""Imports point one way, and heavy packages are imported only where they belong (docs/architecture.md)."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT

LAYERS = [
    ["japagen.errors", "japagen.output", "japagen.squeue", "japagen.demo"],
    ["japagen.tasks"],
    ["japagen.evaluation", "japagen.store"],
    ["japagen.config", "japagen.hub", "japagen.prompts"],
    ["japagen.curation", "japagen.gold", "japagen.llm", "japagen.sweeps", "japagen.training"],
    ["japagen.synthesis"],
    ["japagen.experiments", "demo_models"],
    ["japagen.quality", "japagen.reporting", "japagen.tracking"],
    ["japagen.commands", "launch"],
    ["japagen.__main__", "hydra_plugins", "run"],
]
"""Lower layers first; a module imports from layers below its own, or from its own package."""

ALONE = {
    "hydra": ["japagen.config", "launch", "hydra_plugins", "run"],
    "omegaconf": [
        "japagen.config",
        "japagen.commands.doctor",
        "japagen.reporting.reading",
        "demo_models",
        "launch",
        "hydra_plugins",
        "run",
    ],
    "torch": ["japagen.llm.estimate", "japagen.training", "demo_models"],
    "transformers": ["japagen.llm.estimate", "japagen.training", "demo_models"],
    "pytorch_lightning": ["japagen.training.classifier", "japagen.training.progress", "japagen.training.student"],
    "submitit": ["launch.slurm.submission"],
    "optuna": ["launch.search"],
    "wandb": ["japagen.tracking"],
    "vllm": [],
    "pickle": [],
}
"""Package -> the only parts of the project that import it. vLLM is a process, never an import."""

MODULES = [path for part in ("japagen", "launch", "hydra_plugins", "demo_models") for path in sorted((ROOT / part).rglob("*.py"))] + [
    ROOT / "run.py"
]

TESTS = [path for part in ("tests", "benchmarks") for path in sorted((ROOT / part).rglob("*.py"))]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    """Full names of all modules that a file imports, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part_of(module: str) -> tuple[int, str] | None:
    """(layer, part) of one of our modules; None for others."""
    for number, layer in enumerate(LAYERS):
        for part in layer:
            if module == part or module.startswith(f"{part}."):
                return number, part
    return None


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    name = name_of(path)
    if name == "japagen":
        return
    own = part_of(name)
    assert own is not None, f"{name} has no layer: add it to LAYERS and to docs/architecture.md"
    for imported in imports_of(path):
        other = part_of(imported)
        if other is not None and other[1] != own[1]:
            assert other[0] < own[0], f"{name} imports {imported}, which is not below it"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_packages_are_imported_only_where_they_belong(path: Path) -> None:
    name = name_of(path)
    for imported in imports_of(path):
        allowed = ALONE.get(imported.partition(".")[0])
        if allowed is not None:
            assert any(name == part or name.startswith(f"{part}.") for part in allowed), f"{name} imports {imported}"


def test_no_module_imports_itself_through_others() -> None:
    names = {name_of(path) for path in MODULES}
    graph = {name_of(path): {module_of(imported, names) for imported in imports_of(path)} for path in MODULES}
    while leaves := {name for name, imported in graph.items() if not (imported - {name}) & graph.keys()}:
        graph = {name: imported for name, imported in graph.items() if name not in leaves}
    assert not graph, f"each of these imports another one of them: {', '.join(sorted(graph))}"


def module_of(imported: str, names: set[str]) -> str:
    """The module of an imported name, which may be a module's or that of something in it."""
    return imported if imported in names else imported.rpartition(".")[0]


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_no_module_imports_from_a_test_module(path: Path) -> None:
    found = {name for name in imports_of(path) if name.startswith("tests.") and ".test_" in name}
    assert not found, f"{name_of(path)} imports {', '.join(sorted(found))}: move it to tests/stubs"


def test_folders_stay_small_enough_to_read() -> None:
    """At most four modules lie loose in japagen/, and no folder has more than 16 of its own."""
    num_modules = Counter(path.parent for path in MODULES if not path.name.startswith("__"))
    assert num_modules[ROOT / "japagen"] <= 4
    assert max(num_modules.values()) <= 16, num_modules.most_common(1)
