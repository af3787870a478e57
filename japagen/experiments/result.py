"""An experiment's result on the disk: its scores beside the baselines', what it was made of, and a failure in its place."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from japagen.errors import StoreError
from japagen.store.files import read_json

Scores = dict[str, dict[str, float] | None]
"""{metric: {value, low, high}}; None where the gold rows allow no value."""


PRIMARY = ""
"""Name of `data.split` among the splits scored."""


@dataclass(frozen=True)
class Result:
    """result.json: the same fields for every method."""

    task: str
    split: str | None
    """The gold split that was scored; None for a task without gold data."""
    method: str
    prompt: str | None
    llm: str | None
    model: str | None
    """The student's encoder; None where the LLM answers itself."""
    data: str
    """Where the gold data come from: sample, published or files."""
    gold_source: str | None
    train_source: str | None
    """Where exemplars or gold training rows come from; None where no gold row was seen."""
    shots: int
    gold_per_label: str | None
    seeds: dict[str, int]
    num_per_label: int | None
    num_train: int
    num_valid: int
    demo: bool
    protocol: str
    metric: str
    metrics: Scores
    baselines: dict[str, Scores]
    num_eval: int
    num_contaminated: int | None
    """Training texts, and rows of the train split, dropped because they match evaluation texts; None where that was not checked."""
    keys: dict[str, str]
    seconds: dict[str, float]
    tokens: dict[str, int]
    versions: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    """The checkout's; '+' behind it where files differed from it."""
    training: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    also_scored: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Further splits by name, each with `metrics`, `baselines`, `num_eval`, `gold_source` and, with prompting, `num_failed` (JCoLA's
    out-of-domain split)."""
    options: dict[str, Any] = field(default_factory=dict)
    """Settings of the method and its options that aren't at their defaults, by dotted name."""
    num_failed: int | None = None
    """method=prompting: gold rows to which the LLM gave no usable answer; they count as wrong (regression: as the middle of the scale)."""
    settings: str = ""
    """`settings_key` of the experiment: the same for results that differ in their seeds only."""

    @property
    def name(self) -> str:
        """As `short_name` has it."""
        written_by = None if self.llm is None else (self.llm, self.shots, self.prompt or "base")
        return short_name(self.task, self.method, written_by, self.gold_per_label, self.model, self.seeds["seed"], self.options)

    @property
    def options_text(self) -> str:
        """'curate.judging=drop, train.robust_q=0.7'."""
        return ", ".join(f"{name}={value}" for name, value in self.options.items())

    @property
    def primary(self) -> dict[str, float] | None:
        """{value, low, high} of the task's metric."""
        return self.metrics.get(self.metric)


def short_name(
    task: str, method: str, written_by: tuple[str, int, str] | None, gold_per_label: str | None, model: str | None, seed: int,
    options: Mapping[str, Any],
) -> str:  # fmt: skip
    """An experiment for people: task, method, shots, prompt where it isn't base, LLM, gold rows, encoder, options, seed.

    `written_by`: LLM, shots and prompt; None without an LLM. `gold_per_label`: None where no gold row is learned from.
    """
    parts = [task, method]
    if written_by is not None:
        llm, shots, prompt = written_by
        parts += [f"{shots}-shot", *([] if prompt == "base" else [prompt]), llm]
    parts += [] if gold_per_label is None else [f"gold-{gold_per_label}"]
    parts += [] if model is None else [model]
    parts += [f"{name.rpartition('.')[2]}={value}" for name, value in options.items()]
    return "-".join([*parts, f"seed{seed}"])


def read_result(folder: Path) -> Result:
    """The Result of a published folder; StoreError where its file isn't one."""
    path = folder / "result.json"
    content = read_json(path)
    known = {one.name for one in fields(Result)}
    try:
        return Result(**{name: value for name, value in content.items() if name in known})
    except (AttributeError, TypeError) as error:
        raise StoreError(f"{path} can't be read ({error}); remove its folder to have it made again") from error


@dataclass(frozen=True)
class Failure:
    """An experiment without a result, and why."""

    name: str
    task: str
    cause: str
    settings: str = ""
    """`results.settings_key` of the experiment: counts it with the other seeds of the same settings. Without it the name must do."""


Outcome = Result | Failure
