"""Where each number comes from: a run's settings, keys, versions, and the command that repeats it."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from japagen.config.schema import Config
from japagen.experiments.result import Result
from japagen.reporting.report import Report
from japagen.sweeps.folder import Sweep

_WORD = re.compile(r"[A-Za-z_./][\w./:@+-]*|0|[1-9][0-9]*", re.ASCII)
"""What Hydra takes as it is."""
_NO_STRING = ("null", "true", "false", "nan", "inf")


def facts_of(result: Result) -> list[tuple[str, str]]:
    """What made the result, line by line; empty values are left out."""
    found: dict[str, Any] = {
        "protocol": result.protocol,
        "gold": result.gold_source and f"{result.gold_source} ({result.data}, split {result.split})",
        "gold rows seen": result.train_source,
        "seeds": _listed(result.seeds),
        "draw of the data": _listed(result.draw),
        "drawn together": f"rows of {result.num_clusters:,} clusters"
        if result.num_clusters < result.num_eval and result.num_clusters
        else None,
        "options": result.options_text,
        "rows": f"{result.num_train:,} to train on, {result.num_valid:,} to select on" if result.num_train else None,
        "steps": result.num_steps,
        "verdict": None if result.judged is None else result.judged.words,
        "contaminated": None if result.num_contaminated is None else _contaminated(result),
        "cut": f"{result.num_cut} of {result.num_eval} scored rows, to {result.training.get('max_length')} tokens"
        if result.num_cut
        else None,
        "no usable answer": f"{result.num_failed} of {result.num_eval}" if result.num_failed else None,
        "seconds": ", ".join(f"{stage} {seconds:,.1f}" for stage, seconds in result.seconds.items()),
        "tokens": ", ".join(f"{kind} {num:,}" for kind, num in result.tokens.items()),
        "versions": _listed(result.versions),
        "commit": result.commit,
        "notes": "; ".join(result.notes),
    }
    return [(name, str(value)) for name, value in found.items() if value]


def _contaminated(result: Result) -> str:
    labels = f" ({_listed(result.contaminated)})" if result.contaminated else ""
    kept = result.options.get("curate.contamination") == "report"
    return f"{result.num_contaminated} rows match scored ones{labels}; they {'stay' if kept else 'are dropped'}"


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def sweep_command(sweep: Sweep) -> str:
    """What was typed, for a shell."""
    command = sweep.command if sweep.command and not sweep.command[0].endswith(".py") else ("python", *sweep.command)
    return shlex.join(command)


def run_command(report: Report, sweep: str, config: Config, result: Result) -> str:
    """One command for this run alone; a task's YAML from elsewhere is found as the sweep found it."""
    typed = next((candidate.command for candidate in report.sweeps if candidate.name == sweep), ())
    return shlex.join(["python", "run.py", *_config_dir(typed), *_overrides(config, result)])


def _config_dir(command: Sequence[str]) -> list[str]:
    for index, word in enumerate(command):
        if word in ("--config-dir", "-cd"):
            return list(command[index : index + 2])
        if word.startswith("--config-dir="):
            return [word]
    return []


def _overrides(config: Config, result: Result) -> list[str]:
    """What names this run: groups, sizes, seeds, gold data, and the options that aren't at their defaults."""
    chosen: dict[str, Any] = {"task": config.task.name, "method": config.method.name}
    if result.llm is not None:
        chosen |= {"llm": config.llm.name, "llm.revision": config.llm.revision, "prompt": config.prompt.name, "shots": config.shots}
        chosen |= {"llm.chat_template": config.llm.chat_template, "llm.stop": list(config.llm.stop_strings) or None}
    if result.model is not None:
        chosen |= {"model": config.model.name, "model.revision": config.model.revision}
    chosen |= {"data": config.data.source, "data.split": config.data.split}
    files = ("train_source", "train_file", "eval_file", "unlabelled_file")
    chosen |= {f"data.{name}": value for name, value in asdict(config.data).items() if name in files}
    chosen |= {} if config.data.strip_source else {"data.strip_source": False}
    chosen |= {"num_per_label": result.num_per_label, "gold_per_label": result.gold_per_label}
    chosen |= {("method.template" if name == "template" else name): value for name, value in result.seeds.items()}
    judge = result.options.get("judge")
    chosen |= {name: value for name, value in result.options.items() if name != "judge"}
    written = [f"{name}={_value(value)}" for name, value in chosen.items() if value is not None]
    return [*written, *([] if judge is None else [f"+llm@judge={_value(judge)}"])]


def _value(value: Any) -> str:
    """The value in Hydra's grammar."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_key(str(name))}:{_value(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(map(_value, value)) + "]"
    if not isinstance(value, str) or (_WORD.fullmatch(value) and value.lower() not in _NO_STRING):
        return str(value)
    return "'" + re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value) + "'"


def _key(name: str) -> str:
    """A dictionary's key, which can't be quoted."""
    return re.sub(r"([\\()\[\]{}:=,\s])", r"\\\1", name)
