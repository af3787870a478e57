"""What the rules that read replies would do to real gold texts: the share rejected or changed, by task and rule.

    python benchmarks/gold_filters.py --mirror DIR [--every N] [--show 3]

Reads the published train split and the scored one as a run reads them, and passes each different text through the rules as an LLM's
reply. Rejections for length are listed apart, since a text of another length than the task's is no fault of a rule. Writes
benchmarks/results/gold_filters.json.
"""

import argparse
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from japagen.config.schema import Data
from japagen.errors import DataError
from japagen.gold import read_eval, read_train
from japagen.prompts.replies import Reject, judge_reply
from japagen.tasks import Task

ROOT = Path(__file__).parents[1]
TASKS = ("jsts", "jnli", "jcola", "jcm", "news", "banking77")
STAND_INS = {"jnli": "jnli_neg"}
"""Train sources taken where the publisher's train split is missing."""
OF_LENGTH = ("too short", "too long")


def load_task(name: str) -> Task:
    """A shipped task."""
    task = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Task), OmegaConf.load(ROOT / "conf" / "task" / f"{name}.yaml")))
    assert isinstance(task, Task)
    return task


def gold_texts(task: Task, data: Data) -> list[str]:
    """Each different text of the train split (or its stand-in) and of the scored one, in order."""
    data = replace(data, split=task.published.scored)
    try:
        train = read_train(task, data)
    except DataError:
        if task.name not in STAND_INS:
            raise
        train = read_train(task, replace(data, train_source=STAND_INS[task.name]))
    splits = [split for split in (train, read_eval(task, data)) if split is not None]
    return list(dict.fromkeys(text for split in splits for example in split.examples for text in example.texts))


def measure(task: Task, texts: list[str], num_shown: int) -> dict[str, Any]:
    """Counts by rule, and how many texts were rejected or changed for another reason than their length."""
    rejected: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    of_length, touched = 0, 0
    for text in texts:
        reading = judge_reply(task, text, "stop")
        outcome = reading.outcome
        if isinstance(outcome, Reject) and outcome.reason in OF_LENGTH:
            of_length += 1
        elif isinstance(outcome, Reject):
            rejected[f"{outcome.reason}: {outcome.rule}" if outcome.rule else outcome.reason] += 1
        changed.update(reading.changes)
        is_touched = bool(reading.changes) or (isinstance(outcome, Reject) and outcome.reason not in OF_LENGTH)
        touched += is_touched
        if is_touched and touched <= num_shown:
            print(f"  {reading.changes or ''} {outcome!r}\n    {text!r}")
    return {
        "texts": len(texts),
        "touched": touched,
        "share": round(touched / max(1, len(texts)), 5),
        "rejected": dict(rejected.most_common()),
        "changed": dict(changed.most_common()),
        "rejected for length": of_length,
    }


def main() -> None:
    """Measures every task that has published texts, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", required=True, type=Path, help="the folder that has the publishers' files")
    parser.add_argument("--every", type=int, default=1, help="take every n-th text only; nothing is written then")
    parser.add_argument("--show", type=int, default=0, help="print so many of the touched texts of each task")
    arguments = parser.parse_args()
    data, found = Data(source="published", mirror=str(arguments.mirror)), {}
    for name in TASKS:
        task = load_task(name)
        found[name] = measure(task, gold_texts(task, data)[:: arguments.every], arguments.show)
        print(f"{name}: {json.dumps(found[name], ensure_ascii=False)}", flush=True)
    num, touched = (sum(figures[key] for figures in found.values()) for key in ("texts", "touched"))
    total = {"texts": num, "touched": touched, "share": round(touched / num, 5)}
    print(f"all: {json.dumps(total)}")
    if arguments.every == 1:
        path = ROOT / "benchmarks" / "results" / "gold_filters.json"
        path.write_text(json.dumps({"tasks": found, "all": total}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
