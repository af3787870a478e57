"""Reports with invented numbers for tests of the page: real configurations, and a store with data sets, streams and predictions."""

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from japagen.config.schema import Config
from japagen.curation.dataset import Dataset, write_examples
from japagen.curation.select import Rejected
from japagen.experiments.result import Failure, Result
from japagen.reporting.report import Report, Run
from japagen.store.files import write_json
from japagen.store.rowsfile import StreamRow
from japagen.store.store import Store
from japagen.sweeps.folder import Sweep
from japagen.tasks import Example, Task
from tests.conftest import Compose

GOLD_TEXT = "これは金のテストデータの文であり決して見せない"
EXEMPLAR = "お手本として見せた学習データの文です"
Change = Callable[[Config], None]


def key_of(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def config_for(composed: Compose, *overrides: str, change: Change | None = None) -> Config:
    config = composed(*overrides)
    if change is not None:
        change(config)
    return config


def result_for(config: Config, value: float, rng: random.Random, data: str = "published", demo: bool = False, **changes: Any) -> Result:
    """A result as this configuration would have it, its score about `value`."""
    method, task, asked = config.method.name, config.task, config.method.name != "gold"
    written, student = method in ("japagen", "mixed", "annotate_japagen"), method != "prompting"
    score = value + rng.gauss(0, 0.008)
    seeds = {"seed": config.seed, "shots_seed": config.shots_seed} | ({"synthesis.seed": config.synthesis.seed} if written else {})
    same = (task.name, method, config.prompt.name, config.shots, config.llm.name, config.model.name, config.num_per_label, data)
    stream = key_of("stream", *same[:5])
    keys = ({"stream": stream, "dataset": key_of("dataset", *same)} if written else {}) | {"result": key_of(*same, config.seed)}
    keys = (keys | {"model": key_of("model", *same, config.seed)}) if student else keys | {"answers": key_of("answers", *same)}
    num = config.num_per_label * len(task.labels)
    seconds = ({"generation": 0.09 * num if written else 900.0} if asked else {}) | ({"training": 40 + 0.02 * num} if student else {})
    base = {"majority": 0.33, "tfidf": value - 0.08} | ({"overlap": 0.52} if task.is_pair else {})
    baselines = {name: {task.metric: interval(value)} for name, value in base.items()}
    result = Result(
        task=task.name, split="valid", method=method, prompt=config.prompt.name if asked else None, llm=config.llm.name if asked else None,
        model=config.model.name if student else None, data=data, gold_source=f"{task.name} v1 valid",
        train_source="JGLUE v1.3 train" if config.shots or not asked else None, shots=config.shots if asked else 0,
        gold_per_label=None if asked else config.gold_per_label, seeds=seeds, num_per_label=config.num_per_label if written else None,
        num_train=int(0.9 * num) if student else 0, num_valid=int(0.1 * num) if student else 0, demo=demo,
        protocol=f"{config.shots} shots" if config.shots else "zero-shot", metric=task.metric, metrics={task.metric: interval(score)},
        baselines=baselines, num_eval=1200, num_contaminated=2 if written else None,
        keys=keys, seconds=seconds | {"scoring": 6.0 if student else 0.4},
        tokens={"prompt": 40 * num, "completion": 30 * num} if asked else {}, versions={"japagen": "0.1.0", "torch": "2.13.0"},
        commit="8a2fd1b0", settings=key_of("settings", *same),
    )  # fmt: skip
    return replace(result, **changes)


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.03, "high": value + 0.03}


def sweep_named(name: str = "methods", command: Sequence[str] = ("run.py", "-m", "task=jnli,jsts", "shots=0,3")) -> Sweep:
    return Sweep(name, "2026-11-21T20:45:00+00:00", tuple(command), "8a2fd1b0", 8)


def fill_store(store: Store, config: Config, result: Result, rng: random.Random, said: Sequence[str] = ()) -> None:
    """What the result's keys lead to: data set, stream and predictions. `said`: texts that the LLM wrote, beside invented ones."""
    write_predictions(store.path("result", result.keys["result"]), config.task, rng)
    if "dataset" not in result.keys or store.find("dataset", result.keys["dataset"]):
        return
    write_stream(store, result.keys["stream"], config.task)
    rows = invented_rows(config.task, result.num_per_label or 0, rng, said)
    rejected = [Rejected(config.task.label_names[0], 7, "several candidates", said[0] if said else "一つ目\n二つ目")]
    rejected += [Rejected(config.task.label_names[1], 8, "contamination", GOLD_TEXT)]
    rejected += [Rejected(config.task.label_names[1], 9, "first sentence", f"「{EXEMPLAR}」")]
    write_dataset_folder(store, result.keys["dataset"], config.task, rows, rejected)


def invented_rows(task: Task, num_per_label: int, rng: random.Random, said: Sequence[str] = ()) -> list[Example]:
    nouns, verbs = ("犬", "駅前の広場", "青い傘", "古い自転車", "子供たち"), ("走っている", "並んでいる", "見える", "置いてある")

    def text(index: int) -> str:
        return said[index] if index < len(said) else f"{rng.choice(nouns)}が{index}番目の{rng.choice(nouns)}のそばに{rng.choice(verbs)}。"

    return [
        Example(tuple(text(index) for _ in task.fields), label.name, label.score, f"{label.name}/{index}")
        for label in task.labels
        for index in range(num_per_label)
    ]


def write_dataset_folder(store: Store, key: str, task: Task, rows: Sequence[Example], rejected: Sequence[Rejected]) -> Path:
    folder = store.path("dataset", key)
    folder.mkdir(parents=True)
    dataset = Dataset(tuple(rows), (), {}, tuple(rejected))
    write_examples(task, dataset.train, folder / "train.parquet")
    write_examples(task, dataset.valid, folder / "valid.parquet")
    lines = [json.dumps(vars(reject), ensure_ascii=False) + "\n" for reject in rejected]
    (folder / "rejects.jsonl").write_text("".join(lines), encoding="utf-8")
    counts: dict[str, dict[str, int]] = {}
    for reject in rejected:
        counts.setdefault(reject.label, {})[reject.reason] = 1
    meta = {"rejects": counts, "num_train": len(rows), "num_valid": 0, "tokens": {"prompt": 9, "completion": 4}, "replies": len(rows) + 3}
    write_json(folder / "meta.json", meta | {"created": "2026-11-21T20:50:00+00:00", "identity": {}})
    return folder


def write_stream(store: Store, key: str, task: Task, exemplar: str = EXEMPLAR, drawn: dict[str, str] | None = None) -> None:
    """A stream whose prompts showed one exemplar, and whose rows drew `drawn`."""
    folder = store.path("stream", key)
    if folder.is_dir():
        return
    folder.mkdir(parents=True)
    write_json(folder / "meta.json", {"identity": {"exemplars": {task.label_names[0]: [[exemplar] * len(task.fields)]}}})
    attributes = {"場面": "公園", "persona": "秘密の人物"} if drawn is None else drawn
    rows = [
        StreamRow(index, label, task.num_turns - 1, "文", "stop", 1, 1, 0, attributes) for label in task.label_names for index in range(40)
    ]
    text = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    (folder / "rows-0000-aa.jsonl").write_text(text, encoding="utf-8")


def write_predictions(folder: Path, task: Task, rng: random.Random, num: int = 200) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    if task.is_regression:
        gold: list[Any] = [rng.uniform(0, 5) for _ in range(num)]
        predictions: list[Any] = [0.7 * value + 0.8 + rng.gauss(0, 0.6) for value in gold]
    else:
        gold = [rng.choice(task.label_names) for _ in range(num)]
        predictions = [label if rng.random() < 0.7 else rng.choice([*task.label_names, ""]) for label in gold]
    pq.write_table(
        pa.table({"id": [str(number) for number in range(num)], "gold": gold, "prediction": predictions}), folder / "predictions.parquet"
    )


def invented_report(
    composed: Compose, store: Store, tasks: Sequence[str] = ("jnli", "jsts"), seeds: int = 2, said: Sequence[str] = (),
    change: Change | None = None, sizes: Sequence[int] = (40, 160),
) -> Report:  # fmt: skip
    """Growth over `sizes`, few shots, prompting and gold on each task; one failure, one run to come."""
    rng = random.Random(7)
    runs = []
    for number, task in enumerate(tasks):
        arms = [((f"num_per_label={size}",), 0.5 + 0.07 * index) for index, size in enumerate(sizes)]
        arms += [((f"num_per_label={sizes[-1]}", "shots=3"), 0.68), (("method=prompting",), 0.66), (("method=gold",), 0.86)]
        for overrides, value in arms:
            for seed in range(seeds):
                config = config_for(composed, f"task={task}", "llm=qwen3-8b", f"seed={seed}", *overrides, change=change)
                result = result_for(config, value - 0.04 * number, rng)
                fill_store(store, config, result, rng, said)
                runs.append(Run("methods", config, result))
    config = config_for(composed, f"task={tasks[0]}", change=change)
    runs.append(Run("methods", config, Failure("jnli-japagen-seed9", config.task.name, "the disk is full: free some space")))
    runs.append(Run("methods", config, Failure("jnli-japagen-seed10", config.task.name, "not run yet"), is_pending=True))
    return Report((sweep_named(),), tuple(runs))
