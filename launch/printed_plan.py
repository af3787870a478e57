"""What `plan=true` prints: server starts, completions, tokens, students, GPU hours and disk, before anything is paid for, and why stages
are made anew that the store has nearly.

Rates are those that this store's own runs measured with the same LLM or encoder; where there are none, it says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from japagen.config.llm import LLM as LLMConfig
from japagen.experiments.budget import budget_line
from japagen.experiments.experiment import Experiment
from japagen.experiments.needed import ENCODER, describe, needed
from japagen.experiments.result import read_result
from japagen.experiments.stages import sessions
from japagen.llm.build import installed_build
from japagen.output import format_duration
from japagen.store.files import read_json
from japagen.store.keys import canonical_json
from japagen.store.reasons import plan_reasons
from japagen.store.rowsfile import StreamRow, StreamRows
from japagen.store.store import Store
from japagen.sweeps.folder import LLM, STUDENT, Unit
from japagen.synthesis.answers import Answer
from launch.console import say
from launch.planning import Group, num_questions, num_rows, stages_of

ROW_BYTES = 400
"""On the disk, for a reply of a Japanese sentence; where none was measured."""


@dataclass(frozen=True)
class Rates:
    """What an LLM's runs in this store showed."""

    rows_per_s: float
    tokens_per_row: float
    prompt_tokens_per_row: float | None
    """None where older versions wrote all of them, which counted no prompts."""


def print_plan(experiments: Sequence[Experiment], units: Sequence[Unit], store: Store, unknown: Sequence[str] = ()) -> None:
    """Prints the plan of a sweep; starts and writes nothing. `unknown`: why some commits and files aren't known yet."""
    students = [unit for unit in units if unit.kind == STUDENT]
    groups = [unit for unit in units if unit.kind == LLM and unit.shard[0] == 0]
    done = len({experiment.keys["result"] for experiment in experiments}) - len(students)
    say(f"plan: {len(experiments)} experiment(s), {len(students)} student(s) to train, {done} result(s) in the store already")
    num_rows, rates = 0, _measured_rates(store) if groups else {}
    for unit in groups:
        num_rows += _print_group(unit, [experiments[index] for index in unit.experiments], store, rates)
    planned = [experiments[index] for unit in groups for index in unit.experiments if "stream" in experiments[index].keys]
    for line in dict.fromkeys(budget_line(experiment.config) for experiment in planned):
        say(line)
    for line in price_of_draws(experiments):
        say(line)
    for line in plan_reasons(experiments, store):
        say(f"made anew: {line}")
    say(f"server starts: {sum(unit.shard[1] for unit in groups if unit.gpus or not _llm(unit, experiments).base_url)}")
    _print_students([experiments[unit.experiments[0]] for unit in students], store)
    things = needed([experiment.config for experiment in experiments])
    sizes = [thing.num_bytes for thing in things if thing.kind == ENCODER and thing.num_bytes]
    num_datasets = len({experiment.keys["dataset"] for experiment in experiments if "dataset" in experiment.keys})
    _print_disk(num_rows, num_datasets, len(students), max(sizes, default=0), store)
    absent = [thing for thing in things if not thing.present]
    for thing in absent:
        say(f"not on this machine: {describe(thing)}: {thing.missing}")
    for line in unknown:
        say(f"not known yet: {line}")
    missed = f"{len(absent)} of {len(things)} things; `japagen fetch` brings them" if absent else "nothing"
    say(f"nodes without internet would miss {missed}")
    say("nothing was started (plan=true)")


def price_of_draws(experiments: Sequence[Experiment]) -> list[str]:
    """What the streams take together, and what they would take with one draw of the data a setting; empty where none has more than one."""
    num_texts: dict[str, dict[str, int]] = {}
    for experiment in experiments:
        if "stream" in experiment.keys:
            identity = {name: value for name, value in experiment.identities["stream"].items() if name not in ("seed", "exemplars")}
            setting = canonical_json([experiment.task.name, experiment.config.shots, identity])
            draws, num = num_texts.setdefault(setting, {}), experiment.config.num_per_label * len(experiment.task.labels)
            draws[experiment.keys["stream"]] = max(num, draws.get(experiment.keys["stream"], 0))
    all_draws = [num for draws in num_texts.values() for num in draws.values()]
    if len(all_draws) == len(num_texts):
        return []
    most, shared = max(map(len, num_texts.values())), [max(draws.values()) for draws in num_texts.values()]
    return [
        f"draws of the data: up to {most} a setting, {_texts(sum(all_draws))} in {len(all_draws)} streams; draw=0 would take"
        f" {_texts(sum(shared))} in {len(shared)}, and compare single draws, not methods"
    ]


def _texts(num: int) -> str:
    return f"{num / 1e6:.1f} million texts" if num >= 1e6 else f"{num:,} texts"


def _llm(unit: Unit, experiments: Sequence[Experiment]) -> LLMConfig:
    return Group((experiments[unit.experiments[0]],), unit.role).llm


def _runs_on_cpu(llm: LLMConfig, device: str) -> bool:
    """Whether this machine's own server for the LLM would run on the CPU."""
    return llm.base_url is None and (device == "cpu" or (device == "auto" and installed_build(llm.server.python) == "cpu"))


def _estimated(llm: LLMConfig, num_replies: int, device: str) -> list[str]:
    """Speed on this machine's CPU, where the LLM would run on it; the demo LLM is too small to ask."""
    if llm.demo or not _runs_on_cpu(llm, device):
        return []
    from japagen.llm.estimate import estimate  # torch and transformers, for this line alone

    if (found := estimate(llm)) is None:
        return []
    most = llm.sampling.longest
    up_to = format_duration(num_replies * most / found.tokens_per_s)
    return [f"on this machine's CPU {found.describe()}, up to {up_to} for replies of {most} tokens"]


def _print_group(unit: Unit, experiments: Sequence[Experiment], store: Store, measured: Mapping[str, Rates]) -> int:
    """Prints what one server start (or one a shard) makes; the number of its completions."""
    llm = Group((experiments[0],), unit.role).llm
    streams: dict[str, int] = {}
    answers: dict[str, int] = {}
    for experiment in experiments:
        for stage in stages_of(experiment, unit.role):
            wanted, num = (streams, num_rows(experiment)) if stage == "stream" else (answers, num_questions(experiment, stage))
            wanted[experiment.keys[stage]] = max(wanted.get(experiment.keys[stage], 0), num)
    missing = sum(max(0, num - _num_there(store, "stream", key)) for key, num in streams.items())
    unanswered = sum(max(0, num - _num_there(store, "answers", key)) for key, num in answers.items())
    parts = []
    if streams:
        parts.append(f"{len(streams)} stream(s), {len(experiments)} data set(s), {missing:,} completions or more")
    if answers:
        more = " and those on texts that aren't here yet" if 0 in answers.values() else ""
        parts.append(f"{len(answers)} set(s) of answers, {unanswered:,} questions{more}")
    rates, device = measured.get(llm.id), experiments[0].config.device
    on = "the CPU" if _runs_on_cpu(llm, device) else f"{llm.gpus} GPU(s)"
    if rates is None and streams:
        parts.append(f"tokens and hours not known: {llm.name} has written nothing into this store yet (japagen preview measures)")
        parts += _estimated(llm, missing, device)
    elif rates is not None and streams:
        hours = missing / rates.rows_per_s / 3600
        parts.append(f"about {missing * rates.tokens_per_row:,.0f} completion tokens")
        parts.append(f"{hours:.2f} hours or more" if on == "the CPU" else f"{hours * llm.gpus:.2f} GPU hours or more")
        if llm.price_per_gpu_hour is not None and on != "the CPU":
            parts.append(f"{hours * llm.gpus * llm.price_per_gpu_hour:,.2f} by llm.price_per_gpu_hour")
        if rates.prompt_tokens_per_row is not None:
            cost = llm.token_cost(missing * rates.prompt_tokens_per_row, missing * rates.tokens_per_row)
            parts += [] if cost is None else [f"{cost:,.2f} or more by the prices of tokens"]
    limits = [f"llm.{name}={value:g}" for name in ("max_cost", "max_tokens_total") if (value := getattr(llm, name)) is not None]
    if limits:
        parts.append(f"each ends at {' or '.join(limits)}")
    if answers:
        parts.append("hours for the answers not known")
    where = f"server at {llm.base_url}" if llm.base_url else f"{unit.shard[1]} server start(s) on {on}"
    say(f"{'-'.join(unit.id.split('-')[:2])}: {llm.name}, {where}: {'; '.join(parts)}")
    return missing


def _num_there(store: Store, stage: str, key: str) -> int:
    return len(StreamRows(store.path(stage, key), StreamRow if stage == "stream" else Answer)) if store.find(stage, key) else 0


def _measured_rates(store: Store) -> dict[str, Rates]:
    """LLM's id -> what its runs showed, of those that wrote streams of this store."""
    known: dict[str, list[dict[str, float]]] = {}
    for path in sorted((store.root / "streams").glob("*/meta.json")):
        known.setdefault(read_json(path)["identity"]["llm"]["id"], []).extend(sessions(path.parent))
    found = {}
    for llm_id, lines in known.items():
        seconds, rows, tokens = (sum(line[name] for line in lines) for name in ("seconds", "rows", "completion_tokens"))
        if seconds and rows:
            counted = [line for line in lines if "prompt_tokens" in line and line["rows"]]
            prompts = sum(line["prompt_tokens"] for line in counted) / sum(line["rows"] for line in counted) if counted else None
            found[llm_id] = Rates(rows / seconds, tokens / rows, prompts)
    return found


def _print_students(experiments: Sequence[Experiment], store: Store) -> None:
    by_encoder: dict[str, list[Experiment]] = {}
    for experiment in (candidate for candidate in experiments if candidate.has_student):
        by_encoder.setdefault(experiment.config.model.name, []).append(experiment)
    measured: dict[str, list[float]] = {}
    for path in (store.root / "results").glob("*/result.json"):
        result = read_result(path.parent)
        if result.model is None:
            continue
        measured.setdefault(result.model, []).append((result.seconds["training"] + result.seconds["scoring"]) / max(1, result.num_train))
    for name, group in by_encoder.items():
        text = f"students: {len(group)} of {name}"
        if name in measured:
            per_row = sum(measured[name]) / len(measured[name])
            rows = sum(experiment.config.num_per_label * len(experiment.task.labels) for experiment in group if "stream" in experiment.keys)
            rows += sum(_num_gold_rows(experiment) for experiment in group if experiment.learns_gold) + sum(
                len(experiment.asked_texts) for experiment in group if experiment.annotates
            )
            text += f", about {rows * per_row / 3600:.2f} hours one after the other, as measured in this store"
        else:
            text += ", hours not known: none was trained in this store yet"
        say(text)


def _num_gold_rows(experiment: Experiment) -> int:
    if experiment.config.gold_per_label != "all":
        return int(experiment.config.gold_per_label) * len(experiment.task.labels)
    return 0 if experiment.train_gold is None else len(experiment.train_gold.examples)


def _print_disk(num_rows: int, num_datasets: int, num_students: int, model_bytes: int, store: Store) -> None:
    """Texts, and weights before `train.keep` removes any; `model_bytes` of the largest encoder, 0: not known. Files: about six a data set
    and ten a student, its result included."""
    texts = num_rows * ROW_BYTES * 2  # the stream and the data set
    if model_bytes:
        most = f"{(texts + num_students * model_bytes) / 1e9:.2f} GB at most (train.keep=all), {texts / 1e9:.2f} GB of it texts"
    else:
        most = f"{texts / 1e9:.2f} GB of texts; the encoders' size is not known on this machine"
    say(f"disk: about {most}; about {num_students * 10 + num_datasets * 6:,} files; store {store.root}")
