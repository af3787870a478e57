"""A result to make others from, how a run prints results, and the rows of a CSV file of results."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from japagen.experiments.result import Failure, Result
from japagen.reporting.run_table import print_results
from japagen.training.verdict import Verdict

RESULT = Result(
    task="jnli", split="valid", method="japagen", prompt="base", llm="big", model="bert", data="published", gold_source="JNLI valid",
    train_source=None, shots=0, gold_per_label=None, seeds={"seed": 7}, num_per_label=50, num_train=130, num_valid=20, demo=False,
    protocol="zero-shot", metric="accuracy", metrics={"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}},
    baselines={"majority": {"accuracy": {"value": 0.33, "low": 0.3, "high": 0.36}}, "tfidf": {"accuracy": None}}, num_eval=2434,
    num_contaminated=3, keys={}, seconds={}, tokens={},
)  # fmt: skip

NOT_LEARNED = Verdict(False, 100, 30, "accuracy", 0.3, 0.4, 1.0, advice="num_per_label=600 train.min_steps=200")
NOT_LEARNED_LINE = "not learned: 100 steps; validation accuracy 0.300, the constant answer 0.400 (n = 30, p = 1)"


def console_text(write: Callable[[Console], None]) -> str:
    stream = io.StringIO()
    write(Console(file=stream, width=220))
    return stream.getvalue()


def printed(*outcomes: Result | Failure) -> str:
    return console_text(lambda console: print_results(outcomes, console))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
