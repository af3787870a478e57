"""An experiment's result on the disk: its scores beside the baselines', what it was made of, or a failure instead of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from japagen.errors import StoreError
from japagen.evaluation.vectors import LabelAgreement
from japagen.store.files import from_json, read_json
from japagen.training.verdict import Verdict

Scores = dict[str, dict[str, float] | None]
"""{metric: {value, low, high}}; None where the gold rows allow no value."""


@dataclass(frozen=True)
class SplitScores:
    """The scores of one gold split, and the baselines' on the same rows."""

    name: str
    gold_source: str | None
    """The gold rows, in words."""
    num_eval: int = 0
    metrics: Scores = field(default_factory=dict)
    baselines: dict[str, Scores] = field(default_factory=dict)
    num_failed: int | None = None
    """Rows without a usable answer, see Result.num_failed."""
    num_cut: int | None = None
    """Rows cut at the student's longest input, see Result.num_cut."""
    is_primary: bool = False
    """True for `data.split`, False for the splits that are scored beside it."""
    num_clusters: int = 0
    """Groups of rows that intervals draw together; as many as rows where each is by itself."""

    @property
    def predictions_file(self) -> str:
        """Name of the file beside result.json that has the predictions."""
        return "predictions.parquet" if self.is_primary else f"predictions-{self.name}.parquet"

    def sorted_metrics(self, first: str) -> list[tuple[str, dict[str, float] | None]]:
        """(metric, score) of each metric: `first`, then the others by name."""
        return sorted(self.metrics.items(), key=lambda item: (item[0] != first, item[0]))

    @property
    def entry(self) -> dict[str, Any]:
        """The fields of result.json: Result's own for the primary split, an entry of `also_scored` for another one."""
        found = {name: getattr(self, name) for name in ("num_failed", "num_cut")}
        counts = {name: value for name, value in found.items() if value is not None}
        return {name: getattr(self, name) for name in ("metrics", "baselines", "num_eval", "num_clusters", "gold_source")} | counts


@dataclass(frozen=True)
class Result:
    """result.json: the same fields for every method. `splits` has the scores of every split as one type."""

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
    """Training texts, and rows of the train split, that match evaluation texts: dropped, or with curate.contamination=report only counted;
    None where that was not checked."""
    keys: dict[str, str]
    seconds: dict[str, float]
    tokens: dict[str, int]
    versions: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    """The checkout's; '+' behind it where files differed from it."""
    training: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    also_scored: dict[str, dict[str, Any]] = field(default_factory=dict)
    """SplitScores.entry of each further split, by name (JCoLA's out-of-domain split); to be read from `splits`."""
    options: dict[str, Any] = field(default_factory=dict)
    """Settings of the method and its options that aren't at their defaults, by dotted name."""
    num_failed: int | None = None
    """method=prompting: gold rows to which the LLM gave no usable answer; they count as wrong (regression: as the middle of the scale)."""
    settings: str = ""
    """`settings_key` of the experiment: the same for results that differ in their seeds only."""
    num_clusters: int = 0
    """Groups of gold rows that intervals draw together; as many as rows where each is by itself."""
    draw: dict[str, int] = field(default_factory=dict)
    """Which draw of the data this is: of `seeds` those that decide texts, exemplars or gold subset; empty where nothing is drawn."""
    agreement: dict[str, dict[str, int]] = field(default_factory=dict)
    """label -> `agreeing`, `n`: of the data set's texts those whose nearest description, by the untrained encoder, is their label's;
    empty for pairs and regression, without a data set and without a student."""
    contaminated: dict[str, int] = field(default_factory=dict)
    """`num_contaminated` by label."""
    num_steps: int | None = None
    """Optimiser steps of the student's training; None without a student."""
    num_cut: int | None = None
    """Scored rows cut at the student's longest input (`max_length` in `training`); None without a student."""
    verdict: dict[str, Any] | None = None
    """`japagen.training.verdict.Verdict` as JSON, to be read from `judged`; None without a student."""

    @property
    def label_agreement(self) -> dict[str, LabelAgreement]:
        """`agreement` as its type."""
        return {name: LabelAgreement(**counts) for name, counts in self.agreement.items()}

    @property
    def judged(self) -> Verdict | None:
        """Whether the student learned anything; None without one, and in results of versions that did not say."""
        return None if self.verdict is None else from_json(Verdict, self.verdict)

    @property
    def contaminated_text(self) -> str:
        """'12', '12, kept' (curate.contamination=report), or a dash where nothing was compared."""
        if self.num_contaminated is None:
            return "–"
        return f"{self.num_contaminated}{', kept' if self.options.get('curate.contamination') == 'report' else ''}"

    @property
    def name(self) -> str:
        """The experiment's `short_name`."""
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

    @property
    def splits(self) -> tuple[SplitScores, ...]:
        """The scores of every split, the primary one first; none for a task without gold data."""
        if self.split is None:
            return ()
        names = ("num_eval", "metrics", "baselines", "num_failed", "num_cut", "num_clusters")
        primary = SplitScores(self.split, self.gold_source, **{name: getattr(self, name) for name in names}, is_primary=True)
        further = [{"gold_source": self.gold_source} | entry | {"name": split} for split, entry in self.also_scored.items()]
        return (primary, *(from_json(SplitScores, entry) for entry in further))

    def scores_on(self, split: str) -> SplitScores:
        """The scores of the split of this name; empty ones where it was not scored."""
        return next((scores for scores in self.splits if scores.name == split), SplitScores(split, None))


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
    try:
        return from_json(Result, read_json(path))
    except TypeError as error:
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
