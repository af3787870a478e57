"""`japagen preview` of methods in which the LLM answers (annotate, prompting): the question as it is sent, and a few answers.

The answers are asked for as a run asks for them and kept where it keeps them. Gold labels are not shown, and no score is made.
"""

import asyncio
from dataclasses import replace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from japagen.commands.preview.serving import served
from japagen.config.schema import Config, Encoder
from japagen.experiments.experiment import Experiment
from japagen.experiments.llm_work import asking
from japagen.experiments.planning import plan_experiment
from japagen.llm.client import Client
from japagen.llm.endpoint import Endpoint
from japagen.prompts.questions import Question, read_answer
from japagen.store.rowsfile import StreamRows, open_folder
from japagen.store.store import Store
from japagen.synthesis.answers import Answer, answer_all


def preview_answers(config: Config, num: int, console: Console) -> None:
    """Prints the first text's question, and what the LLM says of the first `num` texts."""
    experiment = plan_experiment(replace(config, model=Encoder(name="none", id="package:demo/encoder", demo=True)))
    store, llm = Store(config.store), config.llm
    asked = asking(experiment, "answers").questions(store)[:num]
    console.rule(f"[bold]{escape(config.task.name)}[/]: the question as it is sent to {escape(llm.name)}", align="left")
    print_question(asked[0], console)
    rows = StreamRows(open_folder(store, "answers", experiment.keys["answers"], experiment.identities["answers"]), Answer)
    missing = [question for question in asked if rows.find(question.id) is None]
    if missing:
        with served(experiment, "answers", store, console) as endpoint:
            asyncio.run(_ask(experiment, missing, rows, endpoint))
    console.rule(f"[bold]answers[/] ({len(missing)} new)", align="left")
    console.print(answers_table(experiment, asked, rows))
    console.print(f"{len(experiment.asked_texts)} texts in all. Kept for the run: {rows.folder}", soft_wrap=True, markup=False)


async def _ask(experiment: Experiment, asked: list[Question], rows: StreamRows, endpoint: Endpoint) -> None:
    config = experiment.config
    async with Client(endpoint, config.llm.id, config.synthesis.concurrency) as client:
        await answer_all(asked, rows, client, config.llm.chat_template_args, config.method.max_tokens, lambda progress: None)


def print_question(question: Question, console: Console) -> None:
    """All turns of the chat; of scored ones that differ in their answer only, the first, and the answers beside each other."""
    chats = question.chats if not question.shares_prompt else question.chats[:1]
    for chat in chats:
        shown = chat[:-1] if question.is_scored else chat
        for message in shown:
            console.print(f"  [bold]{message['role']}[/]")
            console.print("\n".join(f"    {line}" for line in message["content"].splitlines()), soft_wrap=True, markup=False)
    if question.is_scored:
        said = list(dict.fromkeys(chat[-1]["content"] for chat in question.chats))
        console.print(f"  [bold]assistant[/] (scored): {escape(' | '.join(said))}", soft_wrap=True)


def answers_table(experiment: Experiment, asked: list[Question], rows: StreamRows) -> Table:
    """Each text with what the LLM says of it: the labels' probabilities, or its reply and how that is read."""
    table = Table(box=None, padding=(0, 1, 0, 2), pad_edge=False)
    for name in ("text", "answer"):
        table.add_column(name, overflow="fold", vertical="top")
    for question, texts in zip(asked, experiment.asked_texts, strict=False):
        table.add_row(escape(" | ".join(texts)), escape(_told(experiment, rows.find(question.id))))
    return table


def _told(experiment: Experiment, answer: Answer) -> str:
    task = experiment.task
    if answer.finish_reason == "error":
        return f"failed: {answer.error}"
    if (probs := answer.probabilities()) is not None:
        return ", ".join(f"{name} {prob:.2f}" for name, prob in zip(task.label_names, probs, strict=True))
    read = read_answer(task, answer.text)
    return f"{answer.text} → {'no usable answer' if read is None else read}"
