"""Errors in words: only a fault of ours shows a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from japagen.config import composition
from japagen.config.composition import compose_config, compose_sweep
from japagen.config.explain import explain, known_settings
from japagen.errors import ConfigError, nearest
from tests.conftest import ROOT


def error_of(*overrides: str, config_dir: Path | None = None) -> str:
    """The message for what composing them raises."""
    with pytest.raises((HydraException, OmegaConfBaseException, ValueError, RecursionError, YAMLError)) as caught:
        compose_config(overrides, config_dir)
    message = explain(caught.value)
    assert message is not None
    return message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("num_per_label=1.5", "num_per_label must be a whole number; found '1.5'"),
        ("train.learning_rate=fast", "train.learning_rate must be a number; found 'fast'"),
        ("train.batch_size=null", "train.batch_size must be set; found null"),
        ("plan=maybe", "plan must be true or false; found 'maybe'"),
        ("task.language=[ja]", "task.language must be a text; found one of type list"),
        ("synthesis.temperatures=1.0", "synthesis.temperatures must be a list, [VALUE, VALUE]; found one of type float"),
        ("task.label_map=3", "task.label_map must be a mapping, {NAME: VALUE}; found one of type int"),
        (
            "llm.chat_template_args={thinking: false}",
            "llm.chat_template_args has no entry 'thinking' yet; a new one is added by +llm.chat_template_args.thinking=VALUE",
        ),
        ("jnli", "'jnli' is no setting; settings are typed NAME=VALUE, e.g. task=jnli"),
        (
            "data.eval_file=私の.csv",
            "data.eval_file=私の.csv can't be read; a text with other signs than letters A to z and digits is quoted:"
            " \"data.eval_file='私の.csv'\"",
        ),
        (
            "synthesis.temperatures=[0.7",
            "synthesis.temperatures=[0.7 can't be read; lists and mappings are typed"
            " \"synthesis.temperatures=['VALUE', 'VALUE']\" and \"synthesis.temperatures={NAME: 'VALUE'}\"",
        ),
        (
            "task=jnli,jsts",
            "task=jnli,jsts names several values: add -m for an experiment with each; if it is one text, quote it: \"task='jnli,jsts'\"",
        ),
    ],
)
def test_what_is_typed_wrongly_is_told_with_its_cure(override: str, message: str) -> None:
    assert error_of(override) == f"error: {message}"


def test_a_group_is_no_value() -> None:
    assert error_of("llm.sampling=3").startswith("error: llm.sampling has settings of its own: temperature, top_p, ")
    assert error_of("judge=demo").endswith("found 'demo'; another LLM judges by +llm@judge=NAME")


def test_a_text_in_quotes_is_read_as_it_is() -> None:
    assert compose_config(["data.eval_file='私の(1),2.csv'"]).data.eval_file == "私の(1),2.csv"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: [a\n  b: c\n", "mine.yaml:2: not YAML (expected ',' or ']', but got ':' at column 4)"),
        (b"name: a\nname: b\n", "mine.yaml:2: not YAML (found duplicate key name at column 1)"),
        (b'name: "\x00"\n', "not YAML: unacceptable character #x0000"),
        ("name: 椅子\n".encode("iso2022_jp"), "mine.yaml is no text in UTF-8: it holds an escape character"),
        ("name: 私\n".encode("cp932"), "mine.yaml can't be read: not UTF-8; save it as UTF-8"),
        (b"max_chars: " + b"9" * 5000, "mine.yaml can't be read: a number has too many digits"),
        (b"name: " + b"[" * 5000, "mine.yaml can't be read: a number has too many digits, or values are nested too deep"),
        (b"- a\n", "task has settings of its own: name, title"),
        (b"name:\n", "task.name must be set; found null"),
    ],
)
def test_a_task_file_at_fault_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "mine.yaml").write_bytes(content)
    assert message in error_of("task=mine", config_dir=tmp_path)


def test_a_command_of_one_configuration_takes_no_sweep() -> None:
    with pytest.raises(ConfigError, match="-m: this command takes one configuration, not a sweep"):
        compose_config(["-m", "task=jnli,jsts"])
    with pytest.raises(ConfigError, match=r"task=jnli shots=-1: shots=-1 is too small"):
        compose_sweep(["-m", "task=jnli", "shots=0,-1"])


def test_faults_of_the_user_are_one_message() -> None:
    assert explain(ConfigError("shots=-1 is too small")) == "error: shots=-1 is too small"


def test_faults_of_ours_are_not_explained_away() -> None:
    assert explain(ZeroDivisionError("x")) is None


def test_known_settings_follow_the_schema() -> None:
    assert "temperature" in known_settings("llm.sampling")
    assert "instruction" in known_settings("task.labels[0]")
    assert "sha256" in known_settings("task.published.splits")
    assert known_settings("no.such.place") == []


def test_the_nearest_name_is_offered_only_when_it_is_near() -> None:
    assert nearest("jnil", ["jnli", "jsts"]) == " (did you mean 'jnli'?)"
    assert nearest("xyz", ["jnli", "jsts"]) == ""


def test_outside_the_checkout_a_command_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "CONF", tmp_path / "conf")
    with pytest.raises(ConfigError, match=r"there is no folder .*conf: this command is for the checkout"):
        compose_config(["task=jnli"])


def test_a_folder_that_hydra_cannot_make_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for option, arguments in {"hydra.run.dir": [], "hydra.sweep.dir": ["-m"]}.items():
        command = [sys.executable, "run.py", *arguments, f"{option}={tmp_path / 'file' / 'x'}", "plan=true"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert f"{tmp_path / 'file' / 'x'} can't be written: Not a directory; name another folder" in done.stderr
