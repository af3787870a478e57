"""Every method on the same gold rows, with the demo models: one sweep, one table, and which differences are significant.

`python benchmarks/methods.py` plans all arms of jsts, jnli, jcola and news together (JAPAGEN_DATA_MIRROR: a folder with the published
files), so streams, answers and server starts are shared, and writes docs/methods-table.md from the results. Demo models can't show that a
method works; what the table shows is that every arm runs, and how its numbers are told.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from japagen.config.composition import compose_sweep
from japagen.config.schema import Config
from japagen.experiments.result import Failure, Outcome, Result
from japagen.reporting.comparisons import Comparison, compare_settings
from japagen.reporting.seeds import aggregate
from japagen.store.store import Store
from launch.execute import execute

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "methods-table.md"
TASKS = ("jsts", "jnli", "jcola", "news")
FIT_THREE_SHOTS = ("jnli", "jcola")
"""Tasks whose exemplars of all labels fit the demo LM's context of 1,024 tokens."""
HEAD = """# Methods side by side (demo)

Every arm on the published gold rows with the embedded demo models: **demo results, which say nothing about the methods themselves.** The LM
was tuned on rows of the same train splits, or on texts made for the classes, and the encoder saw labels of them before; no arm is zero- or
few-shot in the usual sense. Made by `python benchmarks/methods.py` from the result.json files; nothing is written by hand.

Mean and sample standard deviation over the seeds named (prompting: seeds go through the question's three wordings). JNLI's train rows are
JNLI-Neg's originals (823 pairs), since its own train split was not in the mirror. Few gold rows: {few} a label. Annotated: {texts} train
texts without their labels. Written: {num} texts a label. `n` gold rows are scored. The majority is the best constant answer, an oracle.
The LLM itself answered {prompted} (`--prompting`), with three shots where the exemplars of all labels fit the demo LM's context of
1,024 tokens.
"""


def main() -> None:
    """Runs what the store doesn't have and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--num-per-label", type=int, default=150)
    parser.add_argument("--few", type=int, default=30, help="gold rows a label")
    parser.add_argument("--texts", type=int, default=400, help="unlabelled texts")
    parser.add_argument("--prompting", default=",".join(TASKS), help="tasks that the LLM also answers itself")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    started = time.monotonic()
    configs = [config for task in args.tasks.split(",") for config in arms(task, args)]
    outcomes = execute(configs, "methods")
    page = write_page(outcomes, compare_settings(outcomes, configs, Store(configs[0].store)), HEAD.format(
        few=args.few, texts=args.texts, num=args.num_per_label, prompted=args.prompting.replace(",", ", ")
    ))  # fmt: skip
    args.out.write_text(f"{page}\n{len(configs)} experiments, {time.monotonic() - started:.0f} s in this run.\n", encoding="utf-8")


def arms(task: str, args: argparse.Namespace) -> list[Config]:
    """The configurations of one task."""
    common = [f"task={task}", "data=published", f"num_per_label={args.num_per_label}", "logger=none", f"workers={args.workers}"]
    common += ["data.train_source=jnli_neg"] if task == "jnli" else []
    seeds = f"seed={args.seeds}"
    few = f"gold_per_label={args.few}"
    prompted = (
        [["method=prompting", f"shots={'0,3' if task in FIT_THREE_SHOTS else '0'}", seeds]] if task in args.prompting.split(",") else []
    )
    sweeps = [
        ["method=gold", seeds],
        ["method=gold", few, seeds],
        *prompted,
        ["prompt=base,kadg", "shots=0,3", seeds],
        ["method=mixed", few, seeds],
        ["method=annotate", "method.answer=channel", f"method.num_texts={args.texts}", seeds],
    ]
    return [config for sweep in sweeps for config in compose_sweep([*common, *sweep])]


def write_page(outcomes: Sequence[Outcome], comparisons: Sequence[Comparison], head: str) -> str:
    """Markdown: the means by task, then differences from each task's reference."""
    lines = [head, "| task, split | setting | protocol | seeds | trained on | metric | mean | sd | majority | overlap | tfidf | n |"]
    lines.append("|" + "---|" * 12)
    for group in aggregate(outcomes):
        result = group.results[0]
        beside = [result.baselines.get(name, {}).get(result.metric) for name in ("majority", "overlap", "tfidf")]
        scores = [number(value) for value in (group.mean, group.sd, *(None if score is None else score["value"] for score in beside))]
        cells = [f"{result.task}, {result.split}", setting(result), result.protocol, group.seeds_text, str(result.num_train or "–")]
        cells += [result.metric, *scores, str(result.num_eval)]
        lines.append("| " + " | ".join(cells) + " |")
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    lines += [f"| {failure.task} | {failure.name} | failed: {failure.cause} |{' |' * 9}" for failure in failures]
    lines += [
        "",
        "## Differences",
        "",
        "From each task's reference; gold rows resampled in common, draws of the data by their variance; Holm within a task.",
        "",
    ]
    lines += ["| task, split | setting | reference | metric | difference | p (Holm) | significant |", "|" + "---|" * 7]
    for comparison in comparisons:
        if comparison.p_holm is None:
            found = [comparison.difference_text, "–", "–"]
        else:
            found = [comparison.difference_text, f"{comparison.p_holm:.3f}", "yes" if comparison.is_significant else "no"]
        lines.append(
            "| "
            + " | ".join([f"{comparison.task}, {comparison.split}", comparison.first, comparison.second, comparison.metric, *found])
            + " |"
        )
    return "\n".join([*lines, ""])


def setting(result: Result) -> str:
    """Method, shots, prompt and options."""
    parts = [result.method, *([f"{result.shots}-shot"] if result.llm else [])]
    parts += [result.prompt] if result.prompt not in (None, "base") else []
    parts += [f"gold {result.gold_per_label}"] if result.gold_per_label else []
    return ", ".join([*parts, *([result.options_text] if result.options else [])])


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
