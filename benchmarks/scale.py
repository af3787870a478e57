"""What a sweep of 25,000 texts a label x 6 tasks x 10 LLMs takes on a cluster, and 100 million rows: the real plan, played through.

    python benchmarks/scale.py [--rounds 3]

The experiments are composed and planned by japagen itself (`launch.planning`; blocks by `japagen.synthesis.claims`);
how long units take comes from the constants below, which are assumptions, and from what other benchmarks measured (MEASURED says which).
benchmarks/scale_model.py plays them. Answers: wall time against shards and GPUs, what slow nodes cost with claimed blocks and with fixed
parts, what preemption every h hours costs, from how many shards on the client is the limit. Writes benchmarks/results/scale.json.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

from hydra import compose, initialize_config_dir
from measuring import RESULTS, ROOT, machine, write_result
from scale_model import Cluster, Outcome, Simulation, Stream, Work

from japagen.config.schema import register_schema
from japagen.config.validation import to_config
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import Planner
from japagen.store.store import Store
from japagen.sweeps.folder import LLM, Unit
from japagen.synthesis.claims import MOST_ROWS, Blocks
from japagen.synthesis.generate import REFRESH_S
from japagen.tasks import Task
from launch.planning import plan_experiments, plan_units

TASKS = ("marcja", "jsts", "jnli", "jcola", "news", "covid19")
LLMS = {
    "tinyswallow-1.5b": 1.5, "sarashina2.2-3b": 3, "qwen3-4b": 4, "qwen3-8b": 8, "qwen3-swallow-8b": 8, "llm-jp-4-8b": 8, "gemma-3-12b": 12,
    "llm-jp-3.1-13b": 13, "qwen3-32b": 32, "qwen3-swallow-32b": 32,
}  # fmt: skip
"""LLMs with their billions of parameters."""
NUM_PER_LABEL = 25_000
SEEDS = (0, 1, 2)
ASSUMED = {
    "output tokens a second, 8B on one GPU": 5_000.0,
    "server start, seconds": 180.0,
    "tokens a character allowed": 0.5,
    "share of replies accepted": 0.85,
    "training rows a second": 1_500.0,
    "seconds of a student besides": 120.0,
    "requeued after, seconds": 300.0,
}
"""Not measured by us. Tokens a second go down as parameters go up; a text has half the characters allowed, at about a token each."""
RANGE = (2_500.0, 5_000.0, 10_000.0)
"""Speeds of the first of them: between an older and a present data-centre GPU."""
BASIC_SHARDS, BASIC_GPUS = 4, 40
LARGE_ROWS, LARGE_TASK = 100_000_000, "covid19"
LARGE_BLOCK = 4_096


def main() -> None:
    """Plans, plays, and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="seeds of each rate of preemption; slow nodes are drawn four times as often")
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"  # no model is loaded; whether the hub can be asked must not change the plan
    costs = measured()
    experiments = plan_sweep()
    report = {
        "assumed": ASSUMED,
        "measured": costs,
        "machine": machine("hydra-core"),
        "sweep": describe(experiments, costs),
        "wall hours": walls(experiments, costs),
        "slow nodes": slow_nodes(experiments, costs, 4 * args.rounds),
        "preemption": preemptions(experiments, costs, args.rounds),
        "client": client_limits(experiments, costs),
        "100 million rows": large(experiments, costs),
    }
    write_result("scale", report)


def measured() -> dict[str, float]:
    """What our own benchmarks found on their machines, by their result files."""
    filters = json.loads((RESULTS / "filters.json").read_text(encoding="utf-8"))
    last = filters["runs"][-1]
    by_part = last["ours"]["cpu seconds by part"]
    client = json.loads((RESULTS / "client.json").read_text(encoding="utf-8"))
    own = {entry["texts a request"]: entry["filtered"]["cpu_us_per_row"]["median"] for entry in client["medians"]}
    return {
        "us to read and judge a row": round((by_part["read"] + by_part["judge"]) / last["rows"] * 1e6, 1),
        "us to curate a row": filters["growth"][-1]["us of CPU a row"],
        "bytes of memory a row": filters["growth"][-1]["bytes a row"],
        "bytes on disk a row": last["bytes on disk a row"],
        "us of client CPU for an own row": own[8],
        "us of client CPU for an own row of a pair": own[1],
    }


def plan_sweep() -> list[Experiment]:
    """The experiments, planned as run.py plans them; moving revisions stay as they are (`plan=true` does the same)."""
    register_schema()
    common = ["model=bert-base-japanese-v3", f"num_per_label={NUM_PER_LABEL}"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        tasks = [to_config(compose("config", overrides=[f"task={task}", *common])) for task in TASKS]
        llms = [to_config(compose("config", overrides=[f"llm={llm}", *common])).llm for llm in LLMS]
    configs = [replace(config, llm=llm, seed=seed) for llm in llms for config in tasks for seed in SEEDS]
    return plan_experiments(configs, Planner(tentative=True))


def works_of(experiments: Sequence[Experiment], shards: int, costs: dict[str, float], tokens_per_s: float = RANGE[1]) -> list[Work]:
    """The planner's units with what each costs; shards of an LLM unit are one `Work`."""
    with tempfile.TemporaryDirectory() as folder:
        units = plan_units(experiments, Store(folder), shards)
    return [work_of(unit, experiments, costs, tokens_per_s) for unit in units if unit.shard[0] == 0]


def work_of(unit: Unit, experiments: Sequence[Experiment], costs: dict[str, float], tokens_per_s: float) -> Work:
    """One unit."""
    own = [experiments[number] for number in unit.experiments]
    if unit.kind != LLM:
        rows = NUM_PER_LABEL * len(own[0].task.labels) * 0.9
        seconds = rows * own[0].config.train.epochs / ASSUMED["training rows a second"] + ASSUMED["seconds of a student besides"]
        return Work(unit.id, seconds=seconds, needs=name_of(unit.needs[0]))
    speed = tokens_per_s * 8 / LLMS[own[0].config.llm.name] * unit.gpus
    streams = [stream_of(experiment.task, experiment.config.synthesis.texts_per_request, speed, unit.shard[1], costs) for experiment in own]
    return Work(name_of(unit.id), tuple(streams), unit.shard[1], gpus=unit.gpus)


def name_of(unit_id: str) -> str:
    """llm-3 of llm-3-0."""
    return "-".join(unit_id.split("-")[:2])


def stream_of(task: Task, texts_per_request: int, tokens_per_s: float, shards: int, costs: dict[str, float]) -> Stream:
    """A stream's blocks in the order in which they are claimed, and the rate of one shard, as far as engine and client go."""
    sizes, num_labels = block_sizes(texts_per_request), len(task.labels)
    rows = [size * (1 + num_labels) for size in sizes] if task.is_pair else [size for size in sizes for _ in range(num_labels)]
    return Stream(tuple(rows), rate_of(task, tokens_per_s, shards, costs))


@cache
def block_sizes(texts_per_request: int) -> list[int]:
    """Indices in each of a label's blocks."""
    blocks, num_indices = Blocks(texts_per_request), round(NUM_PER_LABEL / ASSUMED["share of replies accepted"])
    starts = sorted({blocks.start(index) for index in range(num_indices)})
    return [end - start for start, end in pairwise([*starts, num_indices])]


def rate_of(task: Task, tokens_per_s: float, shards: int, costs: dict[str, float]) -> float:
    """Rows a second of one shard: of its engine, or of its client where one core of that can't do more."""
    return min(tokens_per_s / (task.max_chars * ASSUMED["tokens a character allowed"]), client_rate(task, shards, costs))


def client_rate(task: Task, shards: int, costs: dict[str, float]) -> float:
    """Rows a second at which a client's core is full: its own rows, and reading and judging all others'."""
    own, other = costs["us of client CPU for an own row" + " of a pair" * task.is_pair], costs["us to read and judge a row"]
    return 1e6 / (own + (shards - 1) * other)


def play(works: Sequence[Work], seed: int = 0, claiming: bool = True, **cluster: Any) -> Outcome:
    """One run of the model."""
    start, requeue = ASSUMED["server start, seconds"], ASSUMED["requeued after, seconds"]
    return Simulation(works, Cluster(server_start_s=start, requeue_s=requeue, **cluster), seed, claiming).run()


def describe(experiments: Sequence[Experiment], costs: dict[str, float]) -> dict[str, Any]:
    """How much it is."""
    works = works_of(experiments, 1, costs)
    rows = sum(sum(stream.blocks) for work in works for stream in work.streams)
    blocks = sum(len(stream.blocks) for work in works for stream in work.streams)
    gpu_s = [sum(sum(stream.blocks) / stream.rows_per_s for stream in work.streams) for work in works if work.streams]
    return {
        "experiments": len(experiments),
        "LLM units": len(gpu_s),
        "streams": sum(len(work.streams) for work in works),
        "students": sum(not work.streams for work in works),
        "rows": rows,
        "blocks": blocks,
        "GB on disk": round(rows * costs["bytes on disk a row"] / 1e9, 1),
        "GPU hours of LLMs": round(sum(gpu_s) / 3600, 1),
        "of the largest LLM unit": round(max(gpu_s) / 3600, 1),
        "GPU hours of students": round(sum(work.seconds for work in works) / 3600, 1),
        "largest stream, GB in memory": round(
            max(sum(stream.blocks) for work in works for stream in work.streams) * costs["bytes of memory a row"] / 1e9, 2
        ),
    }


def walls(experiments: Sequence[Experiment], costs: dict[str, float]) -> list[dict[str, Any]]:
    """Wall time against shards and GPUs."""
    found = []
    for tokens_per_s in RANGE:
        least_s = working_s(works_of(experiments, 1, costs, tokens_per_s))
        for shards in (1, 2, 4, 8, 16, 32) if tokens_per_s == RANGE[1] else (1, 4, 16):
            works = works_of(experiments, shards, costs, tokens_per_s)
            row: dict[str, Any] = {"tokens a second of an 8B": tokens_per_s, "shards": shards}
            for gpus in (10, 40, 160) if tokens_per_s == RANGE[1] else (BASIC_GPUS,):
                outcome = play(works, num_gpus=gpus)
                row[f"hours on {gpus} GPUs"] = round(outcome.wall_s / 3600, 2)
                row[f"hours to the last text, {gpus} GPUs"] = round(outcome.llm_s / 3600, 2)
                row[f"share of GPU time at work, {gpus} GPUs"] = round(least_s / outcome.gpu_s, 2)
            found.append(row)
    return found


def working_s(works: Sequence[Work]) -> float:
    """GPU seconds that write texts or train; besides, GPUs are held for server starts, at a stream's end, and while a client is behind."""
    writing = sum(sum(stream.blocks) / stream.rows_per_s * work.gpus for work in works for stream in work.streams)
    return writing + sum(work.seconds for work in works)


def slow_nodes(experiments: Sequence[Experiment], costs: dict[str, float], rounds: int) -> list[dict[str, Any]]:
    """One LLM unit (8B) whose shards run on nodes of which some are slow: hours with claimed blocks, and with fixed parts."""
    found = []
    for shards in (4, 16):
        work = next(
            candidate
            for candidate in works_of(experiments, shards, costs)
            if candidate.id == name_of(f"llm-{list(LLMS).index('qwen3-8b')}-0")
        )
        even = play([work], num_gpus=shards).wall_s
        for share, slowness in ((0.0, 1.0), (0.1, 0.5), (0.25, 0.5), (0.1, 0.25)):
            row: dict[str, Any] = {"shards": shards, "slow nodes": share, "their speed": slowness}
            for name, claiming in (("claimed blocks", True), ("fixed parts", False)):
                nodes = {"num_gpus": shards, "slow_share": share, "slowness": slowness}
                row[f"time, {name}"] = spread([play([work], seed, claiming, **nodes).wall_s / even for seed in range(rounds)])
            found.append(row)
    return found


def preemptions(experiments: Sequence[Experiment], costs: dict[str, float], rounds: int) -> list[dict[str, Any]]:
    """The whole sweep where LLM jobs are preempted every h hours of running, in the mean."""
    works = works_of(experiments, BASIC_SHARDS, costs)
    even = play(works, num_gpus=BASIC_GPUS)
    found = []
    for hours in (24, 6, 2, 1, 0.5):
        runs = [play(works, seed, num_gpus=BASIC_GPUS, preempted_every_h=hours) for seed in range(rounds)]
        found.append(
            {
                "every h": hours,
                "preemptions": spread([run.num_preemptions for run in runs]),
                "time": spread([run.wall_s / even.wall_s for run in runs]),
                "GPU time": spread([run.gpu_s / even.gpu_s for run in runs]),
                "rows lost, share": spread([run.lost_rows / run.made_rows for run in runs]),
                "rows made": all(run.made_rows == even.made_rows for run in runs),
            }
        )
    return found


def client_limits(experiments: Sequence[Experiment], costs: dict[str, float]) -> dict[str, Any]:
    """From how many shards on the client's core, which reads and judges all shards' rows, is slower than the engine."""
    tasks = {experiment.task.name: experiment.task for experiment in experiments}
    limits = {}
    for llm, billions in LLMS.items():
        speed = RANGE[1] * 8 / billions
        limits[llm] = {
            name: next((k for k in range(1, 1025) if rate_of(task, speed, k, costs) == client_rate(task, k, costs)), 1025)
            for name, task in tasks.items()
        }
    opens = {str(shards): round(shards * (shards - 1) / REFRESH_S) for shards in (4, 16, 64, 256)}
    return {"first shards at which the client is the limit": limits, "files opened a second by shards that look at others' rows": opens}


def large(experiments: Sequence[Experiment], costs: dict[str, float]) -> dict[str, Any]:
    """100 million rows of one task by an 8B: as it is, and with rows judged by one reader only."""
    task = next(experiment.task for experiment in experiments if experiment.task.name == LARGE_TASK)
    rows = []
    for shards in (16, 64, 256):
        row: dict[str, Any] = {"shards": shards}
        engine = RANGE[1] / (task.max_chars * ASSUMED["tokens a character allowed"])
        alone = client_rate(task, 1, costs)
        for name, rate in (("as it is", rate_of(task, RANGE[1], shards, costs)), ("others' rows not judged", min(engine, alone))):
            stream = Stream((LARGE_BLOCK,) * (LARGE_ROWS // LARGE_BLOCK), rate)
            outcome = play([Work("llm-0", (stream,), shards)], num_gpus=shards, slow_share=0.1)
            row[f"hours, {name}"] = round(outcome.wall_s / 3600, 1)
        rows.append(row)
    return {
        "task": LARGE_TASK,
        "GPU hours at the engine's rate": round(LARGE_ROWS / engine / 3600),
        "GB of memory, as it is": round(LARGE_ROWS * costs["bytes of memory a row"] / 1e9),
        "GB on disk": round(LARGE_ROWS * costs["bytes on disk a row"] / 1e9),
        "hours of one core to curate": round(LARGE_ROWS * costs["us to curate a row"] / 3.6e9, 1),
        "claims, as it is": LARGE_ROWS // MOST_ROWS,
        "shards": rows,
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": round(statistics.median(values), 4), "least": round(min(values), 4), "most": round(max(values), 4)}


if __name__ == "__main__":
    main()
