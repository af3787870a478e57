"""`japagen why KEY|OVERRIDES`: which stages of an experiment would be made anew, and why.

With settings as run.py takes them: each stage of the experiment, whether the store has it, and where not the nearest artifact of the stage
(the one with the fewest differences, of several the newest) with the settings and versions in which it differs, old -> new. With the
first digits of a key: that artifact and what it was made from, each beside the artifact nearest to it; also a key that is planned by a
sweep and not made yet. Nothing is made or changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from japagen.commands.artifacts.artifacts import FEWEST_DIGITS, find_artifact
from japagen.commands.terminal import add_store_option, make_console, make_parser, open_store
from japagen.config.composition import compose_config
from japagen.config.schema import Config
from japagen.errors import ConfigError, StoreError
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import Planner
from japagen.experiments.stages import is_complete
from japagen.store.reasons import Identity, StoredIdentities, describe_nearest, identities_of
from japagen.store.stages import STAGES
from japagen.store.store import Store
from japagen.sweeps.folder import sweep_folders


def main(arguments: list[str]) -> int:
    """Prints a line a stage, and the differences below it; always 0 where the stages are known."""
    parser = make_parser("why", __doc__, "task=jnli shots=3 llm=qwen3-swallow-8b data=published", "c5a79acd   # an artifact of the store")
    what = f"settings as run.py takes them, or a key's first digits ({FEWEST_DIGITS} or more)"
    parser.add_argument("what", nargs="*", metavar="KEY|KEY=VALUE", help=what)
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="folder with groups of your own: DIR/task/NAME.yaml")
    add_store_option(parser)
    parsed = parser.parse_intermixed_args(arguments)
    keys = [what for what in parsed.what if "=" not in what]
    if len(keys) > 1 or (keys and len(parsed.what) > 1):
        raise ConfigError(f"{' '.join(parsed.what)}: name one key, or settings as run.py takes them, and not both")
    console = make_console()
    if keys:
        _print_key(open_store(parsed.store), keys[0], console)
        return 0
    config = compose_config(parsed.what, parsed.config_dir)
    _print_config(config if parsed.store is None else replace(config, store=parsed.store), console)
    return 0


def _print_config(config: Config, console: Console) -> None:
    planner = Planner(tentative=True, asks_servers=True)
    experiment, store = planner.plan(config), Store(config.store)
    for line in (*planner.notes, *(f"not known yet: {unknown}" for unknown in planner.unknown)):
        console.print(line, soft_wrap=True, markup=False)
    _print_stages(identities_of(experiment), _states(experiment, store), StoredIdentities(store), console)


def _print_key(store: Store, what: str, console: Console) -> None:
    """An artifact with what it was made from, or where only a sweep knows the key, the experiment that plans it."""
    try:
        artifact = find_artifact(store, what)
    except StoreError:
        if (config := _planned(store, what.lower())) is None:
            raise
        _print_config(replace(config, store=str(store.root)), console)
        return
    store, stored = artifact.store, StoredIdentities(artifact.store)
    found: dict[str, Identity] = {}
    waiting = [(artifact.stage, artifact.key)]
    for stage, key in waiting:
        if (identity := stored.of(stage).get(key)) is not None:
            found[stage] = identity
            waiting += identity.parts[1].items()
        else:
            console.print(f"{STAGES[stage].words} {key[:8]}: the store has it no more", markup=False)
    wanted = {stage: found[stage] for stage in sorted(found, key=lambda stage: STAGES[stage].order)}
    _print_stages(wanted, dict.fromkeys(wanted, "stored"), stored, console)


def _planned(store: Store, beginning: str) -> Config | None:
    """The configuration of the latest sweep with an experiment that has a key so begun."""
    for folder in reversed(sweep_folders(store)):
        for number, planned in enumerate(folder.experiments()):
            if len(beginning) >= FEWEST_DIGITS and any(key.startswith(beginning) for key in planned.keys.values()):
                return folder.config(number)
    return None


def _states(experiment: Experiment, store: Store) -> dict[str, str]:
    """Stage -> 'stored', or why it is not."""
    is_scored = store.find("result", experiment.keys["result"]) is not None
    has_dataset = "dataset" in experiment.keys and store.find("dataset", experiment.keys["dataset"]) is not None
    found = {}
    for stage, key in experiment.keys.items():
        is_needed = not is_scored and not (has_dataset and STAGES[stage].by_llm)
        if store.find(stage, key) is None:
            found[stage] = "not stored" if is_needed else "not stored, and not needed: what it is for is stored"
        elif is_needed and stage in experiment.llm_stages and not is_complete(experiment, stage, store):
            found[stage] = "stored; a run asks for what is missing and adds it"
        else:
            found[stage] = "stored"
    return found


def _print_stages(wanted: Mapping[str, Identity], states: Mapping[str, str], stored: StoredIdentities, console: Console) -> None:
    """Where all stages are stored each is compared, else those only that would be made anew."""
    shown: set[str] = set()
    is_made = all(state == "stored" for state in states.values())
    for stage, identity in wanted.items():
        console.print(f"{STAGES[stage].words} {identity.key[:8]}: {states[stage]}", soft_wrap=True, markup=False)
        if states[stage] == "not stored" or is_made:
            for line in _lines(stage, wanted, stored, shown):
                console.print(f"  {line}", soft_wrap=True, markup=False)


def _lines(stage: str, wanted: Mapping[str, Identity], stored: StoredIdentities, shown: set[str]) -> Iterator[str]:
    words = STAGES[stage].words
    if (nearest := stored.nearest(wanted, stage)) is None:
        yield f"the store has no other {words} to compare with"
        return
    made = f", made {nearest.stored.created}" if nearest.stored.created else ""
    yield f"nearest {words} {nearest.stored.key[:8]}{made}:"
    lines = describe_nearest(nearest, stored, wanted, shown)
    shown.add(nearest.stored.key)
    yield from (f"  {line}" for line in lines)
