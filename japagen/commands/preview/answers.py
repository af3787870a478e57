"""`japagen preview` of methods in which the LLM answers (annotate, prompting): the question as it is sent, and a few answers.

The answers are asked for as a run asks for them and kept where it keeps them. Gold labels are not shown, and no score is made.
"""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from japagen.commands.preview.serving import ask
from japagen.config.schema import Config
from japagen.evaluation.confusions import MANY_LABELS
from japagen.experiments.answers import read_answers
from japagen.experiments.experiment import Experiment
from japagen.experiments.llm_work import asking
from japagen.experiments.planning import Planner
from japagen.prompts.questions import Question, read_answer
from japagen.store.store import Store
from japagen.synthesis.answers import Answer

NUM_SHOWN = 5
"""Probabilities shown of an answer, where the task has many labels."""


def preview_answers(config: Config, num: int, console: Console) -> None:
    """Prints the first text's question, and the LLM's answers to the first `num` texts."""
    planner = Planner(asks_servers=True)
    experiment = planner.plan(config, until="llm")
    for note in planner.notes:
        console.print(note, soft_wrap=True, markup=False)
    store, llm = Store(config.store), config.llm
    folder = store.path("answers", experiment.keys["answers"])
    asked = asking(experiment, "answers").questions(store)[:num]
    console.rule(f"[bold]{escape(config.task.name)}[/]: the question as it is sent to {escape(llm.name)}", align="left")
    print_question(asked[0], console)
    known = read_answers(experiment, "answers", store)
    num_missing = sum(question.id not in known for question in asked)
    if num_missing:
        ask(experiment, "answers", store, console, num)
    console.rule(f"[bold]answers[/] ({num_missing} new)", align="left")
    console.print(answers_table(experiment, asked, read_answers(experiment, "answers", store)))
    console.print(f"{len(experiment.asked_texts)} texts in all. Kept for the run: {folder}", soft_wrap=True, markup=False)


def print_question(question: Question, console: Console) -> None:
    """All turns of the chat; of scored ones that differ in their answer only, the first, and the answers beside each other."""
    chats = question.chats if not question.shares_prompt else question.chats[:1]
    for chat in chats:
        shown = chat[:-1] if question.is_scored else chat
        for message in shown:
            console.print(f"  [bold]{message['role']}[/]")
            console.print("\n".join(f"    {line}" for line in message["content"].splitlines()), soft_wrap=True, markup=False)
    if question.is_scored:
        replies = list(dict.fromkeys(chat[-1]["content"] for chat in question.chats))
        console.print(f"  [bold]assistant[/] (scored): {escape(' | '.join(replies))}", soft_wrap=True)


def answers_table(experiment: Experiment, asked: list[Question], answers: dict[str, Answer]) -> Table:
    """Each text with the LLM's answer: the labels' probabilities, or its reply and how that is read."""
    table = Table(box=None, padding=(0, 1, 0, 2), pad_edge=False)
    for name in ("text", "answer"):
        table.add_column(name, overflow="fold", vertical="top")
    for question, texts in zip(asked, experiment.asked_texts, strict=False):
        table.add_row(escape(" | ".join(texts)), escape(_answer_text(experiment, answers[question.id])))
    return table


def _answer_text(experiment: Experiment, answer: Answer) -> str:
    task = experiment.task
    if answer.finish_reason == "error":
        return f"failed: {answer.error}"
    if (probs := answer.probabilities()) is not None:
        return listed(dict(zip(task.label_names, probs, strict=True)))
    read = read_answer(task, answer.text)
    return f"{answer.text} → {'no usable answer' if read is None else read}"


def listed(probs: dict[str, float]) -> str:
    """'positive 0.91, negative 0.09'; of many labels the most probable ones, and how many others there are."""
    ordered = sorted(probs, key=lambda name: -probs[name])[:NUM_SHOWN] if len(probs) > MANY_LABELS else list(probs)
    rest = f", {len(probs) - len(ordered)} others" if len(ordered) < len(probs) else ""
    return ", ".join(f"{name} {probs[name]:.2f}" for name in ordered) + rest
