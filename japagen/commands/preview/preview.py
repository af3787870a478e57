"""`japagen preview`: the prompts as they are sent, a few replies to them, and what a full run would take.

The replies are asked for as a run asks for them and appended to the same stream: nothing paid for is thrown away, a run
later begins with them, and a second preview of the same prompts asks for nothing. An encoder takes part only where one is on this
machine, to hold texts against their labels' descriptions; gold data only where shots=k shows them. With replies=FILE neither LLM nor
encoder takes part: the file's lines are read as replies, and each is shown as a text or with the reason against it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import indent

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from japagen.commands.preview.agreement import print_agreement
from japagen.commands.preview.answers import preview_answers
from japagen.commands.preview.projection import measure, print_projection
from japagen.commands.preview.replies_file import preview_replies
from japagen.commands.preview.serving import ask
from japagen.commands.terminal import make_console, make_parser
from japagen.config.composition import compose_config
from japagen.config.schema import Config, Curate, Method
from japagen.curation.dataset import selected_examples
from japagen.curation.select import Selector
from japagen.errors import ConfigError
from japagen.evaluation.confusions import MANY_LABELS
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import Planner
from japagen.experiments.requests import auto_attributes, make_selector, stream_of
from japagen.experiments.stages import is_complete
from japagen.prompts.replies import REASONS, Reject
from japagen.prompts.writing import Message
from japagen.store.rowsfile import StreamRows
from japagen.store.store import Store
from japagen.synthesis.generate import FirstReplies
from japagen.synthesis.stream import Stream, open_rows

NUM_WHOLE = 2
"""Labels whose prompts are shown whole, where the task has many."""
MOST_TRUNCATED = 0.05
"""Share of replies that may be cut without a warning."""
FIRST_SENTENCE = "(the first sentence, as the LLM wrote it)"
_ROLES = {"system": "bold magenta", "user": "bold cyan", "assistant": "bold green"}


def main(arguments: list[str]) -> int:
    """Shows prompts, replies and projection; 0 also where every reply was rejected, since showing that is the purpose."""
    parser = make_parser(
        "preview",
        __doc__,
        "task=jnli llm=qwen3-swallow-8b n=5",
        "--config-dir my task=mail llm=qwen3-swallow-8b prompt=kadg",
        "task=jnli replies=replies.txt --json",
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="n=5 (replies per label), replies=FILE, and all settings that run.py takes"
    )
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="folder with groups of your own: DIR/task/NAME.yaml")
    parser.add_argument("--json", action="store_true", help="with replies=FILE: a JSON object for each reply, a line each")
    parsed = parser.parse_intermixed_args(arguments)
    file, overrides = take_replies(parsed.overrides)
    if parsed.json and file is None:
        raise ConfigError("--json goes with replies=FILE, whose replies it shows; a preview by an LLM is a table")
    if file is not None:
        preview_replies(compose_config(overrides, parsed.config_dir).task, Path(file), parsed.json, make_console())
        return 0
    num, overrides = take_number(overrides)
    preview(compose_config(overrides, parsed.config_dir), num, make_console())
    return 0


def take_number(overrides: list[str], default: int = 5) -> tuple[int, list[str]]:
    """The value of the last `n=…` (japagen preview's own setting), and the overrides without it."""
    given = [override for override in overrides if override.startswith("n=")]
    if given and not re.fullmatch(r"n=[1-9]\d*", given[-1]):
        raise ConfigError(f"{given[-1]} is not allowed; n is the number of replies per label: a whole number from 1")
    return int(given[-1][2:]) if given else default, [override for override in overrides if override not in given]


def take_replies(overrides: list[str]) -> tuple[str | None, list[str]]:
    """The value of the last `replies=…` (japagen preview's own setting), and the overrides without it and without `n=…`, if it is there."""
    given = [override.partition("=")[2] for override in overrides if override.startswith("replies=")]
    if not given:
        return None, overrides
    if not given[-1]:
        raise ConfigError("replies= is empty; name a file with one reply a line")
    return given[-1], [override for override in overrides if not override.startswith(("replies=", "n="))]


def preview(config: Config, num: int, console: Console) -> None:
    """Prints all of it for one configuration; `num` replies per label, or answers where the LLM only answers."""
    if config.method.kind.answers and not config.method.kind.writes:
        preview_answers(config, num, console)
        return
    planner = Planner(asks_servers=True)
    experiment = plan_llm_part(config, planner)
    for note in planner.notes:
        console.print(note, soft_wrap=True, markup=False)
    if experiment.train_gold is not None:
        console.print(*experiment.train_gold.notes, sep="\n", end="\n" * bool(experiment.train_gold.notes), soft_wrap=True, markup=False)
    store = Store(config.store)
    if "attributes" in experiment.keys:
        name_attributes(experiment, store, console)
    stream = stream_of(experiment, store)
    print_prompts(experiment, stream, StreamRows(store.path("stream", stream.key)), console)
    ask_first(experiment, stream, store, num, console)
    rows = StreamRows(store.path("stream", experiment.keys["stream"]))
    selector = make_selector(experiment)
    selector.advance(rows)
    for name in config.task.label_names:
        print_replies(name, selector, rows, num, console)
    print_agreement(config, selected_examples(config.task, selector), console)
    for line in truncation_warnings(config, rows):
        console.print(f"[yellow]{escape(line)}[/]", soft_wrap=True)
    print_projection(config, measure(experiment, store, rows, selector), console)
    console.print(f"Kept for the run: {rows.folder}", soft_wrap=True, markup=False)
    if config.llm.demo:
        console.print("[yellow]llm=demo is for trying the pipeline only: what it writes, and how fast, means nothing.[/]")


def plan_llm_part(config: Config, planner: Planner | None = None) -> Experiment:
    """The experiment up to its stream; gold data are read for exemplars only (none is a scored row)."""
    if not config.method.kind.writes:
        raise ConfigError(f"method={config.method.name}: no LLM takes part, so there is nothing to preview; take another method")
    filters = {name: getattr(config.curate, name) for name in ("max_same_first", "near_duplicates", "contamination")}
    return (planner or Planner()).plan(replace(config, method=Method(), curate=Curate(**filters)), until="llm")


def name_attributes(experiment: Experiment, store: Store, console: Console) -> None:
    """prompt=kadg_auto: has the LLM name the attributes, as a run would; starts no server where the store has them."""
    if not is_complete(experiment, "attributes", store):
        ask(experiment, "attributes", store, console)
    for attribute in auto_attributes(experiment, store):
        console.print(f"attribute {attribute.name}: {', '.join(attribute.values)}", soft_wrap=True, markup=False)


def print_prompts(experiment: Experiment, stream: Stream, rows: StreamRows, console: Console) -> None:
    """One request per label, role by role; for pairs turn 1 once, since it is the same for every label."""
    task = experiment.task
    texts = f"{stream.texts_per_request} {'first sentences' if task.is_pair else 'texts'} a {'reply' if stream.verbalized else 'request'}"
    if stream.temperatures:
        texts += f", temperatures {', '.join(f'{temperature:g}' for temperature in stream.temperatures)} in turn"
    stop = list(dict.fromkeys(string for turn in range(task.num_turns) for string in stream.stop_of(turn)))
    texts += f"; a reply ends at {' or '.join(json.dumps(one, ensure_ascii=False) for one in stop)}" if stop else ""
    heading = f"[bold]{escape(task.name)}[/]: prompts as they are sent to {escape(f'{experiment.config.llm.name} ({texts})')}"
    console.rule(heading, align="left")
    if not task.is_pair:
        whole = task.label_names if len(task.labels) <= MANY_LABELS else task.label_names[:NUM_WHOLE]
        for name in whole:
            ask = stream.ask(name, 0)
            _print_messages(f"label {name}", ask.messages, ask.attributes, console)
        if len(whole) < len(task.labels):
            _print_requests(stream, task.label_names[NUM_WHOLE:], console)
        return
    ask = stream.ask("", 0)
    _print_messages("turn 1, the same for every label", ask.messages, ask.attributes, console)
    first = rows.get("", 0, 0)
    text = first.text if first is not None and first.text else FIRST_SENTENCE
    for name in task.label_names:
        second = stream.second_ask(name, 0, text)
        num_shown = len(ask.messages) if second.messages[: len(ask.messages)] == ask.messages else 0  # else turn 1 asked for a list
        drawn = {key: value for key, value in second.attributes.items() if key not in ask.attributes}
        _print_messages(f"turn 2, label {name} (after turn 1)", second.messages[num_shown:], drawn, console)


def _print_requests(stream: Stream, names: Sequence[str], console: Console) -> None:
    """The last message of each label's first request: of many labels all the rest is the same again."""
    console.print(f"\n[bold]{len(names)} more labels[/][dim] (the last message of each; what comes before it is as above)[/]")
    for name in names:
        console.print(f"  [cyan]{escape(name)}[/]")
        console.print(indent(stream.ask(name, 0).messages[-1]["content"], "    "), soft_wrap=True, markup=False)


def _print_messages(heading: str, messages: tuple[Message, ...], attributes: Mapping[str, str], console: Console) -> None:
    drawn = f" ({', '.join(f'{name}: {value}' for name, value in attributes.items())})" if attributes else ""
    console.print(f"\n[bold]{escape(heading)}[/][dim]{escape(drawn)}[/]")
    for message in messages:
        console.print(f"  [{_ROLES[message['role']]}]{message['role']}[/]")
        console.print(indent(message["content"], "    "), soft_wrap=True, markup=False)


def ask_first(experiment: Experiment, stream: Stream, store: Store, num: int, console: Console) -> None:
    """Asks for what the first `num` replies per label miss, as a run would; starts no server where the store has them all."""
    selection = FirstReplies(make_selector(experiment), num)
    selection.advance(open_rows(store, stream))
    console.print()
    if all(selection.is_full(name) for name in experiment.task.label_names):
        console.rule("[bold]replies[/] (all in the store already; the LLM was not asked)", align="left")
        return
    progress = ask(experiment, "stream", store, console, num)
    console.rule(f"[bold]replies[/] ({progress.new_rows} new in {progress.seconds:.1f} s)", align="left")


def print_replies(name: str, selector: Selector, rows: StreamRows, num: int, console: Console) -> None:
    """The label's first `num` replies in the stream's order, each accepted or with the reason against it, and their share."""
    judged, accepted = selector.num_judged(name), selector.num_accepted(name)
    share = f"{accepted} of {judged} accepted" if judged else "none judged"
    console.print(f"\n[bold]label {escape(name)}[/]: {share}")
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2), pad_edge=False)
    for column in ("mark", "text"):
        table.add_column(column, overflow="fold", no_wrap=column == "mark", vertical="top")
    found: list[tuple[int, str, str]] = [(row.index, "", _texts(row.texts)) for row in selector.accepted if row.label == name]
    for rejected in selector.rejected:
        if rejected.label == name:
            found.append(
                (
                    rejected.index,
                    _why(selector, rows, rejected.index, rejected.reason),
                    _raw(selector, rows, name, rejected.index, rejected.text),
                )
            )
    shown = sorted(found)[:num]
    for _, reason, text in shown:
        table.add_row("[red]rejected[/]" if reason else "[green]accepted[/]", escape(text))
        if reason:
            table.add_row("", f"[red]{escape(reason)}[/]")
    console.print(table)
    rest = judged - len(shown)
    if rest > 0:
        reasons = ", ".join(f"{reason} {count}" for reason, count in selector.rejects(name).most_common())
        console.print(f"  … and {rest} more{f'; rejected in all: {reasons}' if reasons else ''}", style="dim", markup=False)


def truncation_warnings(config: Config, rows: StreamRows) -> list[str]:
    """A line for each turn of which more than MOST_TRUNCATED of the replies were cut at their longest."""
    found = []
    for turn in range(config.task.num_turns):
        reasons = [row.finish_reason for row in rows if row.turn == turn and row.finish_reason != "error"]
        share = reasons.count("length") / len(reasons) if reasons else 0.0
        if share > MOST_TRUNCATED:
            which = f"turn {turn + 1}: " if config.task.num_turns > 1 else ""
            longest = f"llm.sampling.max_tokens={config.llm.sampling.longest}"
            found.append(
                f"{which}{share:.0%} of {len(reasons)} replies were cut at {longest}, and are rejected as truncated; raise it, or ask for"
                " shorter texts"
            )
    return found


def _texts(texts: tuple[str, ...]) -> str:
    return "\n".join(f"{number}: {text}" for number, text in enumerate(texts, 1)) if len(texts) > 1 else texts[0]


def _raw(selector: Selector, rows: StreamRows, name: str, index: int, text: str) -> str:
    """What the LLM wrote, as it was; for pairs with the first sentence, which alone may be what was rejected."""
    first = rows.get("", index, 0)
    if first is None:
        return text or "(nothing)"
    second = rows.get(name, index, 1)
    return _texts((first.text, second.text)) if second is not None else f"1: {first.text or '(nothing)'}"


def _why(selector: Selector, rows: StreamRows, index: int, reason: str) -> str:
    """The reason in words, with the cause behind a rejected first sentence and the server's words for a failed request."""
    words = f"{reason}: {REASONS[reason]}"
    first = rows.get("", index, 0)
    if reason == "first sentence" and first is not None:
        cause = selector.first_sentence(first)
        words += f" ({cause.reason}: {REASONS[cause.reason]})" if isinstance(cause, Reject) else ""
    failed = next((row.error for row in rows if row.index == index and row.error), "") if "error" in words else ""
    return f"{words}; {failed}" if failed else words
