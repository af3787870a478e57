"""docs/add-a-task.md does what it says: its commands are run or composed, its YAML is what new-task writes."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from japagen.commands.preview.preview import plan_llm_part, take_number
from japagen.commands.tasks import new_task
from japagen.config.composition import compose_config
from japagen.experiments.planning import plan_experiment
from japagen.gold import read_eval
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "add-a-task.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.S)


COMMANDS = [shlex.split(line) for block in blocks("bash") for line in block.splitlines()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, another in (("mails.csv", ""), ("more.csv", "先日そちらのお店にうかがったときのことですが、"), ("texts.csv", "本日、")):
        (tmp_path / name).write_text(re.sub(r"\n(?=.)", rf"\n{another}", blocks("csv")[0]), encoding="utf-8")
    assert COMMANDS[0][:2] == ["japagen", "new-task"]
    assert new_task.main(COMMANDS[0][2:]) == 0
    return tmp_path


def test_the_yaml_is_what_is_written(folder: Path) -> None:
    shown = yaml.safe_load(blocks("yaml")[0])
    assert shown == yaml.safe_load(Path("my/task/mail.yaml").read_text(encoding="utf-8"))


def test_its_commands_compose(folder: Path) -> None:
    others = [command for command in COMMANDS if command[1] != "new-task"]
    assert len(others) == 7
    for program, script, option, config_dir, *overrides in others:
        assert (program, script) in (("japagen", "preview"), ("python", "run.py"))
        assert option == "--config-dir"
        _, overrides = take_number(overrides)
        real = compose_config(overrides, Path(config_dir))
        assert real.task.name == "mail"
        # Planned to the keys with the demo models in place of those that must be fetched.
        demo = [f"{override.partition('=')[0]}=demo" if override.startswith(("llm=", "model=")) else override for override in overrides]
        config = compose_config(demo, Path(config_dir))
        plan = plan_llm_part if script == "preview" else plan_experiment
        assert plan(config).task == real.task


def test_a_task_in_another_language_is_written(folder: Path) -> None:
    (command,) = (command for command in COMMANDS[1:] if command[1] == "new-task")
    rows = ["Where is the chair that I ordered?,order", "The lamp came broken.,broken", "I would like two more chairs.,order"]
    (folder / "mails_en.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    assert new_task.main(command[2:]) == 0
    assert compose_config(["task=mails"], Path("my")).task.language == "en"


def test_its_file_is_read(folder: Path) -> None:
    config = compose_config(["task=mail", "data=files", "data.eval_file=mails.csv"], Path("my"))
    split = read_eval(config.task, config.data)
    assert split is not None
    assert [example.label for example in split.examples] == ["order", "repair", "order", "repair"]
