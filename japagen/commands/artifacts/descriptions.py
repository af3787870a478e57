"""Results, models, streams and answers in a few lines each: what made them, how much there is, scores, seconds, where."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from japagen.commands.artifacts.artifacts import Artifact, artifacts
from japagen.evaluation.confusions import MANY_LABELS
from japagen.evaluation.vectors import weakest
from japagen.experiments.result import Result, read_result
from japagen.experiments.stages import generation_seconds
from japagen.reporting.setting_names import format_score
from japagen.store.rowsfile import StreamRow, StreamRows
from japagen.store.stages import STAGES
from japagen.synthesis.answers import Answer
from japagen.training.verdict import stored_verdict

BEGINNING = 8
"""Digits of a key shown where it is one of several."""
NUM_NAMED = 6
"""Labels named of a list that is shortened."""


def inputs(artifact: Artifact) -> dict[str, str]:
    """Stage -> key of what the artifact was made from, and the LLM behind it where that is in the store still."""
    found = {}
    for stage, key in artifact.meta()["identity"].items():
        if stage in STAGES and isinstance(key, str):
            made = Artifact(artifact.store, stage, key)
            found[STAGES[stage].words] = key + (f", by {_llm(made)}" if artifact.store.find(stage, key) else "")
    return found


def _llm(artifact: Artifact) -> str:
    identity = artifact.meta()["identity"]
    return f"{identity['llm']['id']} at {identity['llm']['revision'][:12]}, prompt {identity['prompt']['name']}"


def describe(artifact: Artifact, console: Console) -> None:
    """Prints the description of any artifact but a data set."""
    print_head(artifact, console)
    if artifact.stage == "result":
        _print_result(read_result(artifact.folder), console)
    elif artifact.stage == "model":
        _print_model(artifact, console)
    else:
        _print_rows(artifact, console)
    print_facts({"folder": artifact.folder}, console)


def print_head(artifact: Artifact, console: Console) -> None:
    """Stage and key, when and by which code it was made."""
    meta = artifact.meta()
    console.print(f"[bold]{artifact.name}[/]")
    by = f", japagen {meta['versions'].get('japagen', '?')}" + (f" at {meta['commit'][:12]}" if meta.get("commit") else "")
    print_facts({"made": f"{meta['created']}{by}"}, console)


def print_facts(facts: Mapping[str, Any], console: Console) -> None:
    """Prints a line for each fact that has a value."""
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2), pad_edge=False)
    table.add_column(no_wrap=True, min_width=15)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value not in (None, "", [], {}):
            table.add_row(f"{name}:", escape(str(value)))
    console.print(table)


def _print_result(result: Result, console: Console) -> None:
    facts = {
        "experiment": result.name,
        "protocol": result.protocol,
        "language model": None if result.llm is None else f"{result.llm}, prompt {result.prompt}",
        "encoder": result.model,
        "trained on": f"{result.num_train} rows, {result.num_valid} to select on" if result.num_train else None,
        "verdict": None if result.judged is None else result.judged.words,
        "contaminated": f"{result.contaminated_text} ({_listed(result.contaminated)})" if result.contaminated else None,
        "seeds": _listed(result.seeds),
        "scored on": f"{result.gold_source} (n={result.num_eval})" if result.split else "no gold data",
        "made of": ", ".join(f"{STAGES[stage].words} {key}" for stage, key in result.keys.items() if stage in STAGES and stage != "result"),
        "seconds": _listed({stage: f"{seconds:.1f}" for stage, seconds in result.seconds.items()}),
        "tokens": _listed(result.tokens),
    }
    print_facts(facts, console)
    if result.metrics:
        console.print(_scores(result))
    lowest = weakest(result.label_agreement)
    if lowest is not None:
        name, found = lowest
        agree = f"weakest is {name}, {found.agreeing} of {found.n} texts agree"
        console.print(f"  labels held against their descriptions: {agree}", markup=False)
    if result.demo:
        console.print("  [yellow]Demo models or smoke data take part: these numbers mean nothing.[/]")


def _scores(result: Result) -> Table:
    """A line a metric, the primary one first, and a line a baseline with that one; with 95% bootstrap intervals over the gold rows."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title="scores with 95% intervals", title_justify="left")
    for heading in ("  split", "metric", "of", "score"):
        table.add_column(heading)
    for split in result.splits:
        for metric, score in split.sorted_metrics(result.metric):
            table.add_row(f"  {split.name}", metric, "result", format_score(score))
        for name, scores in split.baselines.items():
            table.add_row(f"  {split.name}", result.metric, name, format_score(scores.get(result.metric)))
    return table


def _print_model(artifact: Artifact, console: Console) -> None:
    meta = artifact.meta()
    identity, training = meta["identity"], meta["training"]
    rows = str(identity["rows"])
    best = training["best_score"]
    selected = "" if best is None else f", where {identity['task'][1]} was {best:.3f} on the rows to select on"
    size = sum(path.stat().st_size for path in artifact.folder.iterdir()) / 1e6
    facts = {
        "encoder": f"{identity['encoder']['id']} at {identity['encoder']['revision']}",
        "labels": _names([name for name, _ in identity["task"][2]]),
        "trained on": f"{meta['num_train']} rows, {meta['num_valid']} to select on",
        "made of": "gold rows" if rows.startswith("gold:") else f"data set {rows}",
        "seed": identity["seed"],
        "verdict": verdict.words if (verdict := stored_verdict(meta)) is not None else None,
        "weights of": f"step {training['best_step']} of {training['num_steps']}" + selected,
        "seconds": f"{meta['seconds']:.1f}",
        "size": f"{size:.1f} MB",
    }
    print_facts(facts, console)
    results = {result.key: read_result(result.folder) for result in artifacts(artifact.store, STAGES["result"].folder)}
    own = {f"result {key[:BEGINNING]}": _in_short(result) for key, result in results.items() if result.keys.get("model") == artifact.key}
    print_facts(own, console)


def _names(labels: Sequence[str]) -> str:
    """The labels; of many the first ones, and how many others there are."""
    shown = labels if len(labels) <= MANY_LABELS else labels[:NUM_NAMED]
    return ", ".join(shown) + (f" and {len(labels) - len(shown)} more" if len(shown) < len(labels) else "")


def _counts(counts: Mapping[str, int]) -> str:
    """Each label's rows; of many labels the fewest and the most."""
    if len(counts) <= MANY_LABELS:
        return _listed(counts)
    fewest, most = (choose(counts, key=lambda name: counts[name]) for choose in (min, max))
    return f"{len(counts)} labels, from {counts[fewest]} ({fewest}) to {counts[most]} ({most})"


def _in_short(result: Result) -> str:
    score = format_score(result.primary) if result.split else "no gold data"
    return f"{result.name}: {result.metric} {score}" + (" (demo: means nothing)" if result.demo else "")


def _print_rows(artifact: Artifact, console: Console) -> None:
    """A stream, or answers: counted as they lie in the files, which may still grow."""
    meta = artifact.meta()
    identity = meta["identity"]
    llm, prompt = identity.get("llm", {}), identity.get("prompt", {})
    rows = StreamRows(artifact.folder, StreamRow if artifact.stage == "stream" else Answer)
    uses = [
        dataset for dataset in artifacts(artifact.store, STAGES["dataset"].folder) if artifact.key in _strings(dataset.meta()["identity"])
    ]
    facts = {
        "language model": f"{llm.get('id')} at {llm.get('revision')}" if llm else None,
        "sampling": _listed(llm.get("sampling", {})),
        "prompt": prompt.get("name") if isinstance(prompt, dict) else None,
        "seed": identity.get("seed"),
        "rows": len(rows),
        "by label": _counts(Counter(row.label or "first sentences" for row in rows)) if artifact.stage == "stream" else None,
        "failed": sum(row.finish_reason == "error" for row in rows) or None,
        "tokens": f"prompt {sum(row.prompt_tokens for row in rows)}, reply {sum(row.completion_tokens for row in rows)}",
        "seconds": f"{generation_seconds(artifact.folder):.1f}",
        "used by": ", ".join(dataset.name for dataset in uses),
    }
    print_facts(facts, console)


def _strings(value: Any) -> Iterator[str]:
    """All strings in nested dicts and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _strings(entry)


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
