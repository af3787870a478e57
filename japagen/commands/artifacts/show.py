"""`japagen show`: what an artifact of the store is: for a data set its quality, and its label noise where people labelled some of it; for
all others what made them and what came of it; for a stream and for answers also each row that the server refused for good, with its words.

A data set's quality is measured once for what it is compared with (gold rows, and a gold-trained student where the store has one) and
kept in the store. Data sets know their task; settings given here (task=…, data=…) come before what they know.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from japagen.commands.artifacts.artifacts import FEWEST_DIGITS, Artifact, find_artifact
from japagen.commands.artifacts.descriptions import describe, inputs, print_facts, print_head
from japagen.commands.artifacts.label_noise_tables import print_label_noise
from japagen.commands.artifacts.quality_tables import print_kept, print_quality
from japagen.commands.terminal import add_store_option, make_console, make_parser, open_store
from japagen.config.composition import compose_config
from japagen.config.fields import settings
from japagen.config.schema import Config, Data
from japagen.curation.label_noise import read_noise
from japagen.curation.stored_task import read_task
from japagen.errors import ConfigError, DataError
from japagen.quality.report import make_quality, read_quality
from japagen.reporting.failedrows import read_failed
from japagen.store.stages import STAGES
from japagen.tasks import Task


def main(arguments: list[str]) -> int:
    """Prints one artifact."""
    parser = make_parser("show", __doc__, "877001d0", "outputs/store/models/877001d0c0ffee00877001d0c0ffee00")
    parser.add_argument("what", metavar="WHAT", help=f"a key of the store, its first digits ({FEWEST_DIGITS} or more), or a folder in it")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="data sets: task=…, data=…, device=…, as run.py takes them")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="folder with groups of your own: DIR/task/NAME.yaml")
    add_store_option(parser)
    parsed = parser.parse_intermixed_args(arguments)
    artifact, console = find_artifact(open_store(parsed.store), parsed.what), make_console()
    if artifact.stage == "dataset":
        show_dataset(artifact, parsed.overrides, parsed.config_dir, console)
        return 0
    if parsed.overrides:
        raise ConfigError(f"{parsed.overrides[0]}: settings are for data sets only, and {artifact.name} is none")
    if artifact.stage == "quality":
        print_head(artifact, console)
        print_quality(read_quality(artifact.folder), console)
        print_kept(artifact.folder, console)
    else:
        describe(artifact, console)
    if STAGES[artifact.stage].by_llm:
        failed = read_failed(artifact.store, artifact.stage, artifact.key)
        for row in failed.rows:
            console.print(f"  {row.name}: {row.words}", markup=False, soft_wrap=True)
    return 0


def show_dataset(artifact: Artifact, overrides: list[str], config_dir: Path | None, console: Console) -> None:
    """Prints a data set's quality, measuring it where the store doesn't have it."""
    config = compose_config(overrides, config_dir)
    task, data = choose_task(artifact, config, overrides)

    def say(line: str) -> None:
        console.print(line, style="dim", markup=False)

    try:
        quality, folder = make_quality(artifact.store, artifact.key, task, data, config.device, say)
    except DataError as error:
        raise DataError(f"{error}; data=files gives a report without gold rows") from error
    print_head(artifact, console)
    meta = artifact.meta()
    asked = meta["identity"].get("num_per_label")
    replies = meta.get("replies")
    facts = {
        **inputs(artifact),
        "asked for": None if asked is None else f"{asked} texts a label",
        "replies": None if replies is None else f"{replies}, {meta.get('tokens', {}).get('completion', 0)} tokens",
        "match gold rows": _matching(meta),
        "folder": artifact.folder,
    }
    print_facts(facts, console)
    print_quality(quality, console)
    if (found := read_noise(artifact.store, artifact.key)) is not None:
        print_label_noise(found, console)
    print_kept(folder, console)


def _matching(meta: Mapping[str, Any]) -> str | None:
    """The rows that match scored ones, by label; None where there are none, or nothing was compared."""
    found = meta.get("contaminated")
    if not found:
        return None
    how, _ = meta["identity"]["contamination"]
    return ", ".join(f"{label} {num}" for label, num in found.items()) + (" (kept)" if how == "report" else " (dropped)")


def choose_task(artifact: Artifact, config: Config, overrides: list[str]) -> tuple[Task, Data]:
    """The task and gold data that settings name, else those that the data set was made with. ConfigError where nothing names the task."""
    given = {override.lstrip("+").partition("=")[0] for override in overrides}
    names_task = any(name == "task" or name.startswith("task.") for name in given)
    here = {setting.name: setting.value for setting in settings(config.data) if setting.facts.running}
    names_data = any(name == "data" or (name.startswith("data.") and name.removeprefix("data.") not in here) for name in given)
    if names_task and names_data:
        return config.task, config.data
    stored = read_task(artifact.folder)
    if stored is None:
        if names_task:
            return config.task, config.data
        raise ConfigError(
            f"{artifact.name} doesn't say which task it was made for (older versions didn't keep it): name the task and the gold data, e.g."
            f" japagen show {artifact.key[:8]} task=jnli data=published"
        )
    data = config.data if names_data else replace(Data(**stored.data), **here)
    return (config.task if names_task else stored.task), data
