"""Which gold train rows the rule of contamination drops, before and now, by task and label; and what that does to a baseline on News.

    python benchmarks/contamination.py --mirror DIR

Before: 13 characters in common with a scored text, in a row. Now: `japagen.curation.contamination`. Rows of the published train splits
(JNLI's: JNLI-Neg's originals) are held against all scored splits of their task. On News, character 1- to 3-gram TF-IDF (the baseline of
every result) learns from all rows, from those that each rule keeps, and from as many drawn at random as the old rule keeps. Writes
benchmarks/results/contamination.json.
"""

import argparse
import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from measuring import ROOT, machine, write_result
from omegaconf import OmegaConf

from japagen import gold
from japagen.config.schema import Data
from japagen.curation.contamination import EvaluationTexts
from japagen.evaluation.baselines import tfidf
from japagen.evaluation.metrics import score
from japagen.prompts.replies import normalise
from japagen.tasks import Example, Task

SOURCES = {"jsts": None, "jnli": "jnli_neg", "jcola": None, "news": None, "jcm": None, "banking77": None}
"""Task -> stand-in for its train split."""
COMMON_CHARS = 13
NUM_DRAWS = 3
SCALE_ROWS = 25_000 * 9
"""Rows of the largest data set that the paper's design makes of News."""


def load_task(name: str) -> Task:
    """A shipped task."""
    task = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Task), OmegaConf.load(ROOT / f"conf/task/{name}.yaml")))
    assert isinstance(task, Task)
    return task


def runs_of(text: str) -> set[str]:
    """Every run of COMMON_CHARS characters."""
    text = normalise(text)
    return {text[start : start + COMMON_CHARS] for start in range(len(text) - COMMON_CHARS + 1)}


def old_matches(scored: Sequence[str], rows: Sequence[Example]) -> list[bool]:
    """The former rule: equal, or COMMON_CHARS characters in common."""
    known = {run for text in scored for run in runs_of(text)} | set(map(normalise, scored))
    return [any(not known.isdisjoint(runs_of(text) | {normalise(text)}) for text in row.texts) for row in rows]


def read(name: str, mirror: str) -> tuple[Task, tuple[Example, ...], list[gold.Split]]:
    """The task, its train rows and its scored splits."""
    task = load_task(name)
    data = Data(source="published", split=task.published.scored, train_source=SOURCES[name], mirror=mirror)
    train, scored = gold.read_train(task, data), gold.read_eval(task, data)
    assert train is not None
    assert scored is not None
    return task, train.examples, [scored, *gold.read_also_scored(task, data).values()]


def shares(task: Task, rows: Sequence[Example], matches: Sequence[bool]) -> dict[str, float]:
    """Share of all rows, then of each label's, in percent."""
    of_label, dropped = Counter(row.label for row in rows), Counter(row.label for row, match in zip(rows, matches, strict=True) if match)
    labels = {name: round(100 * dropped[name] / of_label[name], 2) for name in task.label_names} if len(task.labels) < 20 else {}
    return {"all": round(100 * sum(matches) / len(rows), 2), **labels}


def accuracy(task: Task, rows: Sequence[Example], scored: gold.Split) -> float:
    """TF-IDF's, on the scored rows."""
    return round(score(task, scored.examples, tfidf(task, rows, scored.examples))["accuracy"] or 0.0, 4)


def news_accuracies(mirror: str) -> dict[str, float]:
    """TF-IDF on News by the rows it learns from."""
    task, rows, (scored,) = read("news", mirror)
    texts = [text for row in scored.examples for text in row.texts]
    kept = {
        "all rows": rows,
        "the old rule's": [row for row, match in zip(rows, old_matches(texts, rows), strict=True) if not match],
        "the rule's": [
            row for row, match in zip(rows, EvaluationTexts(texts).matches([row.texts for row in rows]), strict=True) if not match
        ],
    }
    found = {f"{name} ({len(part)} rows)": accuracy(task, part, scored) for name, part in kept.items()}
    num = len(kept["the old rule's"])
    drawn = [accuracy(task, random.Random(seed).sample(rows, num), scored) for seed in range(NUM_DRAWS)]
    return found | {f"{num} rows at random (mean of {NUM_DRAWS} draws)": round(statistics.fmean(drawn), 4)}


def main() -> None:
    """Prints and writes all figures."""
    parser = argparse.ArgumentParser(description="Which gold train rows the rule of contamination drops.")
    parser.add_argument("--mirror", required=True, help="folder laid out like the publishers' files")
    mirror, result = parser.parse_args().mirror, dict[str, Any]()
    for name in SOURCES:
        task, rows, splits = read(name, mirror)
        texts = [text for split in splits for row in split.examples for text in row.texts]
        began = time.process_time()
        matches = EvaluationTexts(texts).matches([row.texts for row in rows])
        seconds = time.process_time() - began
        result[name] = {
            "rows": len(rows),
            "scored texts": len(set(texts)),
            "old rule, % of rows": shares(task, rows, old_matches(texts, rows)),
            "rule, % of rows": shares(task, rows, matches),
            "CPU seconds": round(seconds, 2),
        }
        print(name, result[name], flush=True)
    _, rows, (scored,) = read("news", mirror)
    made = [(f"{row.texts[0][number % 50 :]}{number}",) for number in range(-(-SCALE_ROWS // len(rows))) for row in rows][:SCALE_ROWS]
    began = time.process_time()
    EvaluationTexts(text for row in scored.examples for text in row.texts).matches(made)
    result["a large data set"] = {"rows": len(made), "CPU seconds": round(time.process_time() - began, 1)}
    print(result["a large data set"], flush=True)
    result["news, TF-IDF accuracy"] = news_accuracies(mirror)
    print(result["news, TF-IDF accuracy"], flush=True)
    write_result("contamination", {"machine": machine(), **result})


if __name__ == "__main__":
    main()
