"""Words and numbers that YAML takes for no text: refused where text is due, with the line to type, in every file that Hydra reads."""

from pathlib import Path

import pytest

from japagen.commands.doctor.installation import data_checks
from japagen.config.composition import compose_config, compose_sweep
from japagen.errors import ConfigError
from tests.conftest import Compose

HEAD = "name: mine\nsystem: 分類\n"
LABELS = "labels:\n  - {name: a, instruction: い}\n  - {name: b, instruction: ろ}\n"


def write(folder: Path, content: str, file: str = "task/mine.yaml") -> Path:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (
            "labels:\n  - name: No\n    instruction: い\n  - name: Yes\n    instruction: ろ\n", 4,
            'labels[0].name must be text, and YAML reads No as the truth value false; put it in quotes: name: "No"',
        ),
        ("labels:\n  - {name: a, instruction: い, word: on}\n", 4, 'word must be text, and YAML reads on as the truth value true'),
        ("labels:\n  - name: a\n    instruction: い\n    variants:\n      - ろ\n      - off\n", 8, 'put it in quotes: "off"'),
        ("labels:\n  - &no {name: NO, instruction: い}\n  - *no\n", 4, 'put it in quotes: name: "NO"'),
        (LABELS + "label_map:\n  No: a\n", 7, 'YAML reads No as the truth value false; put it in quotes: "No": …'),
        (LABELS + "label_map:\n  0: a\n", 7, 'YAML reads 0 as the number 0; put it in quotes: "0": …'),
        (LABELS + 'label_map: {"0": yes}\n', 6, 'YAML reads yes as the truth value true; put it in quotes: "0": "yes"'),
        (LABELS + "fields:\n\n  - on\n", 8, 'fields[0] must be text, and YAML reads on as the truth value true; put it in quotes: "on"'),
        (LABELS + "label_field: y\ntitle: True\n", 7, 'title: "True"'),
        (LABELS + "attributes:\n  - name: a\n    values: [x, no]\n", 8, "attributes[0].values[1] must be text"),
        (LABELS + "published: {splits: {valid: {where: {kind: off}}}}\n", 6, "published.splits.valid.where.kind must be text"),
        (LABELS + "title: 010\n", 6, 'YAML reads 010 as the number 8; put it in quotes: title: "010"'),
        (LABELS + "title: 0x10\n", 6, "YAML reads 0x10 as the number 16"),
        (LABELS + "title: 1_000\n", 6, "YAML reads 1_000 as the number 1000"),
        (LABELS + "title: 1e3\n", 6, "YAML reads 1e3 as the number 1000.0"),
        (LABELS + "title: 1:30\n", 6, "YAML reads 1:30 as the number 90"),
        (LABELS + "title: 1.50\n", 6, "YAML reads 1.50 as the number 1.5"),
        (LABELS + "title: .inf\n", 6, "YAML reads .inf as the number inf"),
        (LABELS + "title: null\n", 6, 'YAML reads null as no value; leave it out, or put it in quotes: title: "null"'),
        (LABELS + "title: ~\n", 6, "YAML reads ~ as no value"),
    ],
)  # fmt: skip
def test_where_text_is_due_it_is_refused_with_the_line_to_type(tmp_path: Path, content: str, line: int, message: str) -> None:
    path = write(tmp_path, HEAD + content)
    with pytest.raises(ConfigError) as caught:
        compose_config(["task=mine"], tmp_path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert message in str(caught.value)


def test_what_is_merged_is_refused_too(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "labels:\n  - &a {name: No, instruction: い}\n  - {<<: *a, instruction: ろ}\n")
    with pytest.raises(ConfigError, match=rf"{path}:4: labels\[0\]\.name must be text"):
        compose_config(["task=mine"], tmp_path)
    write(tmp_path, HEAD + "labels:\n  - {name: a, instruction: い}\n  - {<<: {name: No}, instruction: ろ}\n")
    with pytest.raises(ConfigError, match=r"labels\[1\]\.name must be text, and YAML reads False"):
        compose_config(["task=mine"], tmp_path)


def test_what_is_text_is_read_as_it_is_written(tmp_path: Path) -> None:
    names = ["0", "1", "-1", "2.5", "2024-01-01", "y", "nein", '"No"', "'010'", "!!str yes"]
    labels = "".join(f"  - name: {name}\n    instruction: |\n      No\n" for name in names)
    write(tmp_path, HEAD + "labels:\n" + labels + 'title: "off"\nseveral_lines: no\nmax_chars: 0x20\n')
    task = compose_config(["task=mine"], tmp_path).task
    assert task.label_names == ["0", "1", "-1", "2.5", "2024-01-01", "y", "nein", "No", "010", "yes"]
    assert (task.labels[0].instruction, task.title, task.several_lines, task.max_chars) == ("No\n", "off", False, 32)


@pytest.mark.parametrize(
    ("file", "content", "override", "message"),
    [
        ("llm/mine.yaml", "name: on\nid: x\n", "llm=mine", 'name must be text, and YAML reads on as the truth value true'),
        ("llm/mine.yaml", "name: j\nid: 0123\n", "+llm@judge=mine", 'put it in quotes: id: "0123"'),
        ("llm/mine.yaml", "name: m\nid: x\nrevision: 12e45\n", "llm=mine", "YAML reads 12e45 as the number"),
        ("curate/mine.yaml", "judging: off\n", "curate=mine", 'put it in quotes: judging: "off"'),
        ("logger/mine.yaml", "wandb: off\n", "logger=mine", 'put it in quotes: wandb: "off"'),
        ("site/mine.yaml", "student:\n  setup: [yes]\n", "site=mine", "student.setup[0] must be text"),
        ("experiment/mine.yaml", "# @package _global_\nprompt: {personas: no}\n", "+experiment=mine", "prompt.personas must be text"),
        ("own/mine.yaml", "# @package data\neval_file: no\n", "+own=mine", "eval_file must be text"),
    ],
)  # fmt: skip
def test_every_group_is_checked(tmp_path: Path, file: str, content: str, override: str, message: str) -> None:
    path = write(tmp_path, content, file)
    for compose in (lambda: compose_config([override], tmp_path), lambda: compose_sweep([override, "seed=0,1"], tmp_path)):
        with pytest.raises(ConfigError) as caught:
            compose()
        assert str(caught.value).startswith(f"{path}:")
        assert message in str(caught.value)


def test_settings_that_may_be_null_are(tmp_path: Path) -> None:
    write(tmp_path, "source: files\neval_file: null\ntrain_file: ~\n", "data/mine.yaml")
    assert compose_config(["data=mine"], tmp_path).data.eval_file is None


def test_a_group_that_fills_no_setting_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "# @package hydra.job\nname: no\n", "own/mine.yaml")
    assert compose_config(["+own=mine"], tmp_path) == compose_config([])


def test_doctor_names_the_line(composed: Compose, tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "labels:\n  - {name: No, instruction: い}\n")
    (found,) = [check for check in data_checks(composed(), tmp_path) if check.state == "fault"]
    assert found.found.startswith(f"{path}:4: labels[0].name must be text")
