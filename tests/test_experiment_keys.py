"""Experiments' keys, in a committed file: a change of a default, or of what a key is made of, shows in the diff.

Where a change is meant: `python -m tests.test_experiment_keys` writes the file anew. Parts: the shipped experiments `quickstart` and
`paper`; `settings`, which turns every setting there is (tests/settings_table.py); and `published`, on the publishers' gold data.
"""

import json
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from japagen.config import fields
from japagen.config.composition import compose_config, compose_sweep
from japagen.config.schema import Config
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import Planner
from japagen.store.stages import LLM_STAGES
from japagen.tracking import run_name
from tests.conftest import MIRROR, ROOT, needs_mirror
from tests.settings_table import LINES, UNCHANGED, WITH_MIRROR, a_splitter, compose_line, overrides_of, write_files
from tests.stubs.setting_keys import CHANGES

FILE = Path(__file__).parent / "experiment_keys.json"
NO_MODEL_IS_LOADED = ["llm.revision=" + "0" * 40, "model.revision=" + "0" * 40]
"""Commits in place of whatever the hub has now."""
Keys = dict[str, dict[str, str]]
"""Experiment -> stage -> key."""

BY_WHAT_THEY_LEAD_TO = [
    "shots", "shots_seed", "gold_per_label", "judge", "data.source", "data.split", "data.train_file", "data.eval_file",
    "data.unlabelled_file", "task.gold_chars", "task.published.also_scored", "task.label_map", "task.question", "task.attributes",
    "task.labels.described", "task.labels.meaning", "task.labels.variants", "prompt.personas", "prompt.style", "model.learning_rate",
    "method.name",
    "method.answer", "method.template", "method.calibrate", "method.max_tokens", "method.gold_weight", "method.num_texts",
    "curate.judging", "curate.judge_answer", "curate.judge_threshold", "curate.keep_likeliest", "curate.prior_values",
    "train.ensemble_threshold", "llm.revision", "model.revision", "llm.base_url", "llm.chat_template",
]  # fmt: skip
"""Settings that enter keys only beside others: in tests/experiments/test_identities.py they change nothing by themselves."""


def keys_of(overrides: list[str]) -> Keys:
    """Keys of a sweep's experiments; without those whose train rows this machine lacks (JNLI's are not in every mirror)."""
    planner = Planner(tentative=True)
    experiments = [planner.plan(config) for config in compose_sweep(overrides)]
    return {
        run_name(one) + f"/synthesis{one.config.synthesis.seed}": one.keys for one in experiments if one.train_gold or not one.config.shots
    }


def planned(configs: Mapping[str, Config]) -> dict[str, Experiment]:
    """The experiments by their lines; nothing in their keys is a placeholder, and nothing is fetched."""
    planner = Planner(tentative=True)
    experiments = {line: planner.plan(config) for line, config in configs.items()}
    assert not planner.unknown
    return experiments


def planned_settings(lines: Iterable[str], folder: Path) -> dict[str, Experiment]:
    """The experiments of a table's lines; `folder`: an empty one for the files that they name."""
    files = folder / "files"
    write_files(files)
    with a_splitter(folder):
        return planned({line: compose_line(line, files) for line in lines})


def published_keys() -> Keys:
    """Keys of the experiments on the publishers' gold data, as the mirror has them."""
    experiments = planned({line: compose_config([*line.split(), f"data.mirror={MIRROR}"]) for line in WITH_MIRROR})
    return {line: one.keys for line, one in experiments.items()}


def committed(part: str) -> Keys:
    keys: Keys = json.loads(FILE.read_text(encoding="utf-8"))[part]
    return keys


def differing(found: Keys, part: str) -> dict[str, list[str]]:
    """Experiment -> stages whose keys aren't the committed ones, or that stand on one side only."""
    both = {name: (found.get(name, {}), keys) for name, keys in committed(part).items()}
    both |= {name: (keys, {}) for name, keys in found.items() if name not in both}
    stages = {name: sorted({stage for stage, _ in one.items() ^ other.items()}) for name, (one, other) in both.items()}
    return {name: changed for name, changed in stages.items() if changed}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Experiment]:
    """The experiments of all lines, planned in another folder and environment than those in which the file is written."""
    folder = tmp_path_factory.mktemp("settings")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("JAPAGEN_STORE", str(folder / "store"))
        patch.setenv("JAPAGEN_DATA_MIRROR", str(folder / "no mirror"))
        return planned_settings([*LINES, *UNCHANGED], folder)


def test_the_keys_of_quickstart_are_the_committed_ones() -> None:
    assert differing(keys_of(["+experiment=quickstart"]), "quickstart") == {}


@needs_mirror
def test_the_keys_of_paper_are_the_committed_ones() -> None:
    found = keys_of(["+experiment=paper", f"data.mirror={MIRROR}", *NO_MODEL_IS_LOADED])
    assert differing({name: found[name] for name in committed("paper")}, "paper") == {}


def test_the_keys_of_all_settings_are_the_committed_ones(settings: dict[str, Experiment]) -> None:
    assert differing({line: settings[line].keys for line in LINES}, "settings") == {}


@needs_mirror
def test_the_keys_on_published_data_are_the_committed_ones() -> None:
    assert differing(published_keys(), "published") == {}


def test_every_line_has_keys_of_its_own(settings: dict[str, Experiment]) -> None:
    lines: dict[tuple[str, ...], list[str]] = {}
    for line in LINES:
        lines.setdefault(tuple(settings[line].keys.values()), []).append(line)
    assert [same for same in lines.values() if len(same) > 1] == []


@pytest.mark.parametrize("line", UNCHANGED)
def test_where_and_how_and_names_of_files_change_no_key(settings: dict[str, Experiment], line: str) -> None:
    assert settings[line].keys == settings[UNCHANGED[line]].keys


def test_no_identity_holds_a_path(settings: dict[str, Experiment], tmp_path_factory: pytest.TempPathFactory) -> None:
    places = (str(tmp_path_factory.getbasetemp()), str(ROOT))
    for line, one in settings.items():
        assert not any(place in json.dumps(one.identities, ensure_ascii=False) for place in places), line


@pytest.mark.parametrize(
    "line", [LINES[-1], "task=jcola data=files data.eval_file=FILES/own.csv task.fields=[body] task.label_field=class"]
)
def test_a_line_is_composed_as_hydra_composes_it(tmp_path: Path, line: str) -> None:
    assert compose_line(line, tmp_path) == compose_config(overrides_of(line, tmp_path))


def test_every_stage_has_a_key_in_some_line(settings: dict[str, Experiment]) -> None:
    assert {stage for line in LINES for stage in settings[line].keys} == {*LLM_STAGES, "dataset", "model", "result"}


@pytest.mark.parametrize(
    ("setting", "choices"),
    [
        *((one.name, one.facts.choices) for one in fields.settings(Config()) if one.facts.choices and not one.facts.running),
        ("task.name", sorted(path.stem for path in (ROOT / "conf" / "task").glob("*.yaml"))),
    ],
)
def test_every_choice_stands_in_some_line(settings: dict[str, Experiment], setting: str, choices: Sequence[str]) -> None:
    assert {value_of(settings[line].config, setting) for line in LINES} == set(choices)


@pytest.mark.parametrize("setting", sorted({*(path for path, stages in CHANGES.items() if stages), *BY_WHAT_THEY_LEAD_TO}))
def test_every_setting_that_enters_a_key_has_several_values(settings: dict[str, Experiment], setting: str) -> None:
    assert len({repr(value_of(settings[line].config, setting)) for line in LINES}) > 1


def value_of(config: Config, path: str) -> Any:
    """What stands at a dotted path; of a list's members the first."""
    node: Any = config
    for name in path.split("."):
        node = getattr(node[0] if isinstance(node, list) else node, name)
    return node


def as_text(parts: Mapping[str, Keys]) -> str:
    """The parts as JSON, one experiment a line."""
    texts = []
    for part, experiments in parts.items():
        lines = [f"  {json.dumps(name)}: {json.dumps(keys, sort_keys=True)}" for name, keys in experiments.items()]
        texts.append(f" {json.dumps(part)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(texts) + "\n}\n"


def all_keys() -> dict[str, Keys]:
    """All parts anew; without a mirror those that need one as they are committed."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {line: one.keys for line, one in planned_settings(LINES, Path(folder)).items()}
    parts = {"quickstart": keys_of(["+experiment=quickstart"]), "settings": settings}
    if not (MIRROR / "JGLUE").is_dir():
        sys.stdout.write("no published gold data: parts paper and published stay as they are; set JAPAGEN_DATA_MIRROR\n")
        return parts | {part: committed(part) for part in ("paper", "published")}
    paper = keys_of(["+experiment=paper", f"data.mirror={MIRROR}", *NO_MODEL_IS_LOADED])
    return parts | {"paper": paper, "published": published_keys()}


if __name__ == "__main__":
    FILE.write_text(as_text(all_keys()), encoding="utf-8")
    sys.stdout.write(f"{FILE.relative_to(ROOT)}\n")
