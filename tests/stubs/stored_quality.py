"""Data sets as stages write them, in a store of the test's, and what a quality report on them needs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from japagen.config.schema import Config
from japagen.curation.dataset import Dataset, dataset_card, write_dataset
from japagen.curation.select import Rejected
from japagen.curation.stored_task import write_task
from japagen.experiments.identities import dataset_identity
from japagen.store.keys import stage_key
from japagen.store.store import Store
from japagen.tasks import Example, Task

REJECTED = (
    Rejected("entailment", 7, "too short", "短い"),
    Rejected("neutral", 8, "too short", "これも"),
    Rejected("neutral", 9, "too short", "あれも"),
    Rejected("entailment", 9, "contamination", "評価文そのもの"),
)
REJECTS = {"entailment": {"too short": 1, "contamination": 1}, "neutral": {"too short": 2}}


def pairs(num: int, task: Task) -> list[Example]:
    """`num` pairs a label, of which no two are alike; the second sentence begins with what gives its label away."""
    nouns, verbs, firsts = "犬猫馬鳥牛羊熊猿", ("走る", "眠る", "歩く", "鳴く", "遊ぶ"), ("確かに", "まさか", "たぶん")
    rows = []
    for number, label in enumerate(task.labels):
        for index in range(num):
            noun, verb = nouns[index % 8], verbs[index // 8 % 5]
            texts = (f"{index}匹の{noun}が庭で{verb}。", f"{firsts[number % 3]}{noun}が{index}匹で{verb}。")
            rows.append(Example(texts, label.name, label.score, f"{label.name}/{index}"))
    return rows


def store_dataset(
    store: Store, config: Config, rows: Sequence[Example], stream: str | None = "s", knows_task: bool = True,
    valid: Sequence[Example] = (), answers: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Publishes the rows as a data set of this configuration; its key."""
    identity = dataset_identity(config, stream, "e", answers or {})
    key = stage_key("dataset", identity)
    rejects = REJECTS if config.task.name == "jnli" else {}
    dataset = Dataset(tuple(rows), tuple(valid), {name: rejects.get(name, {}) for name in config.task.label_names}, REJECTED)

    def build(out: Path) -> dict[str, object]:
        write_dataset(config.task, dataset, out, dataset_card(config.task, dataset, {}))
        if knows_task:
            write_task(config.task, config.data, out)
        counts = {"rejects": dataset.rejects, "reading": {"heading": {config.task.label_names[0]: 4}}}
        return {**counts, "num_train": len(rows), "num_valid": len(valid), "replies": 99, "tokens": {"completion": 990}}

    with store.lock("dataset", key) as lock:
        store.publish("dataset", key, build, identity, lock)
    return key
