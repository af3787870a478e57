"""A Task as a commented YAML file for people, and the check that what is written means that Task."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from japagen.config.composition import compose_config
from japagen.errors import ConfigError, StoreError
from japagen.tasks import METRICS, Attribute, Label, Task

_LIKE_A_NUMBER = re.compile(r"[-+.]*\d")
"""Quoted, since OmegaConf reads more as numbers than YAML 1.1 does ('1e3')."""


class _Dumper(yaml.SafeDumper):
    pass


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if _LIKE_A_NUMBER.match(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _entry(key: str, value: Any, comment: str = "", indent: str = "", column: int = 23) -> str:
    """`key: value   # comment`, lists and mappings in one line, several lines of text as a block."""
    flow = isinstance(value, list | dict)
    style = None if flow else False
    text = yaml.dump({key: _escaped(value)}, Dumper=_Dumper, allow_unicode=True, width=10**6, sort_keys=False, default_flow_style=style)
    first, *rest = text.rstrip("\n").split("\n")
    first = f"{indent}{first}"
    if comment:
        first = f"{f'{first} ':<{column}}# {comment}"
    return "\n".join([first, *(f"{indent}{line}".rstrip() for line in rest)])


def _escaped(value: Any) -> Any:
    """With OmegaConf's interpolation switched off, since a task's texts are texts."""
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda found: f"{found[1] * 2}\\${{", value)
    if isinstance(value, list):
        return [_escaped(entry) for entry in value]
    if isinstance(value, dict):
        return {name: _escaped(entry) for name, entry in value.items()}
    return value


def task_yaml(task: Task, origin: str) -> str:
    """The file's text; `origin`: where its prompts are from, for the head comment."""
    what = f"{'pair' if task.is_pair else 'single text'}, {task.target}, {task.metric}"
    metrics = ", ".join(name for name, target in METRICS.items() if target == task.target)
    head = [
        f"# {_one_line(task.title or task.name)} ({what})",
        f"# {_one_line(origin)} Change what you like; `japagen preview` shows what an LLM makes of it.",
        _entry("name", task.name),
        _entry("title", task.title),
        _entry("kind", task.kind, "single: one text; pair: two, written in two turns"),
        _entry("target", task.target, "classification, or regression (every label is a level with a score)"),
        _entry("metric", task.metric, f"the score in tables: {metrics}"),
        _entry("max_chars", task.max_chars, "longest text accepted, in characters; the prompts name the same number, so change both"),
        _entry("min_chars", task.min_chars, "shortest"),
        _entry("several_lines", task.several_lines, "true: one text may have several lines; false: such a reply counts as several texts"),
        _entry("language", task.language, "ISO 639-1 code: replies in another language are rejected; '' accepts any"),
        _entry("fields", task.fields, "text column(s) of your file (data=files data.eval_file=…)"),
        _entry("label_field", task.label_field, "its label column"),
    ]
    if task.label_map:
        head.append(_entry("label_map", task.label_map, "what your file says -> the label's name below"))
    prompts = ["# The system message: what the LLM is, and what the labels mean.", _entry("system", task.system)]
    if task.is_pair:
        prompts += ["# Asks for the first sentence; the same for every label, so that none leaks into it."]
        prompts += [_entry("first_instruction", task.first_instruction)]
    which = "the second sentence of this label" if task.is_pair else "one text of this label"
    prompts += [f"# instruction: asks for {which}. word: the label in the task's language; a reply that begins by naming it is rejected."]
    parts = [*head, *prompts, "labels:", *(_label_lines(label) for label in task.labels)]
    if task.attributes:
        parts += ["# prompt=kadg only: one value of each is drawn for every request, and its phrase follows the instruction."]
        parts += ["attributes:", *(_attribute_lines(attribute) for attribute in task.attributes)]
    return "\n".join(parts) + "\n"


def _label_lines(label: Label) -> str:
    lines = [_entry("name", label.name, indent="  - ")]
    if label.score is not None:
        lines.append(_entry("score", label.score, indent="    "))
    if label.word:
        lines.append(_entry("word", label.word, indent="    "))
    lines.append(_entry("instruction", label.instruction, indent="    "))
    if label.described:
        lines.append(_entry("described", label.described, "prompt=kadg asks this instead", indent="    "))
    return "\n".join(lines)


def _attribute_lines(attribute: Attribute) -> str:
    lines = [_entry("name", attribute.name, indent="  - "), _entry("values", attribute.values, indent="    ")]
    lines.append(_entry("phrase", attribute.phrase, indent="    "))
    if attribute.labels:
        lines.append(_entry("labels", attribute.labels, "only for these", indent="    "))
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def check_text(task: Task, text: str) -> None:
    """ConfigError unless run.py, given `text` as the task's file, would read exactly `task`."""
    with TemporaryDirectory(prefix="japagen-") as folder:
        (Path(folder) / "task").mkdir()
        (Path(folder) / "task" / f"{task.name}.yaml").write_text(text, encoding="utf-8")
        read = compose_config([f"task={task.name}"], Path(folder)).task
    if read != task:
        differing = [name for name, value in vars(task).items() if getattr(read, name) != value]
        raise ConfigError(f"{', '.join(differing)}: what you gave can't be written as YAML so that it reads back the same; simplify it")


def write_new(path: Path, text: str) -> None:
    """Writes a file that wasn't there, whole; ConfigError where it is."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{path} exists already and is left as it is; choose another --name or --out") from error
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror}; choose another --out") from error
