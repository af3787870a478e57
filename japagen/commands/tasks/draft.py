"""In: the answers given to `japagen new-task`. Out: a Task with prompts in this project's wording.

Japanese prompts for Japanese tasks, English ones that name the language for all others. They are a start: short, all of one
form, each naming the limit that the filters hold to. `japagen preview` shows what an LLM makes of them.
"""

from dataclasses import dataclass, field

from japagen.config.languages import NAMES
from japagen.tasks import Attribute, Label, Task


@dataclass(frozen=True)
class LabelAnswer:
    """One label as it was described."""

    name: str
    word: str
    """In the task's language."""
    description: str
    """What texts of this label are, in the task's language; no full stop."""
    score: float | None = None


@dataclass(frozen=True)
class Answers:
    """A whole task as it was described."""

    name: str
    title: str
    kind: str
    target: str
    language: str
    """Code of ISO 639-1; '' for any."""
    about: str
    """What the texts are, e.g. 会社の問い合わせ窓口に届くメール."""
    max_chars: int
    labels: tuple[LabelAnswer, ...]
    fields: tuple[str, ...]
    label_field: str
    attributes: dict[str, list[str]] = field(default_factory=dict)
    label_map: dict[str, str] = field(default_factory=dict)
    several_lines: bool = False


def draft_task(answers: Answers) -> Task:
    """The task, not yet checked."""
    texts = _Japanese(answers) if answers.language == "ja" else _English(answers)
    return Task(
        name=answers.name,
        title=answers.title,
        kind=answers.kind,
        target=answers.target,
        metric="spearman" if answers.target == "regression" else "accuracy",
        max_chars=answers.max_chars,
        several_lines=answers.several_lines,
        language=answers.language,
        fields=list(answers.fields),
        label_field=answers.label_field,
        system=texts.system(),
        first_instruction=texts.first_instruction() if answers.kind == "pair" else "",
        labels=[
            Label(name=label.name, instruction=texts.instruction(label), word=label.word, score=label.score) for label in answers.labels
        ],
        attributes=[Attribute(name=name, values=values, phrase=texts.phrase()) for name, values in answers.attributes.items()],
        label_map=dict(answers.label_map),
    )


class _Japanese:
    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._limit = f"{answers.max_chars}文字以内で一つ書いてください。"

    def system(self) -> str:
        answers, num = self._answers, len(self._answers.labels)
        what = "二つの文の組" if answers.kind == "pair" else "文章"
        purpose = f"{what}に点数をつける課題" if answers.target == "regression" else f"{what}を{num}種類に分ける課題"
        lines = [f"あなたは{answers.about}を書く担当者です。{purpose}のための例文を作ります。"]
        return "\n".join([*lines, *(f"「{label.word}」は、{label.description}です。" for label in answers.labels)])

    def first_instruction(self) -> str:
        return f"{self._answers.about}を、組の一つ目の文として{self._limit}文だけを出力してください。"

    def instruction(self, label: LabelAnswer) -> str:
        meaning = f"「{label.word}」は、{label.description}です。"
        if self._answers.kind == "pair":
            return f"この一つ目の文と「{label.word}」になる二つ目の文を{self._limit}{meaning}文だけを出力してください。"
        return f"{self._answers.about}のうち「{label.word}」にあたるものを{self._limit}{meaning}本文だけを出力してください。"

    def phrase(self) -> str:
        return "題材は「{value}」です。"


class _English:
    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._in = f" in {NAMES[answers.language]}" if answers.language else ""
        self._limit = f"Write{self._in}, with at most {answers.max_chars} characters, and output the {{}} only.".replace("Write,", "Write")

    def system(self) -> str:
        answers, num = self._answers, len(self._answers.labels)
        what = "pairs of sentences" if answers.kind == "pair" else "texts"
        purpose = f"giving {what} a score" if answers.target == "regression" else f"sorting {what} into {num} classes"
        lines = [f"You write {answers.about}{self._in}, as examples for the task of {purpose}."]
        return "\n".join([*lines, *(f'"{label.word}": {label.description}.' for label in answers.labels)])

    def first_instruction(self) -> str:
        limit = self._limit.format("sentence")
        return f"Write one example of the following, as the first sentence of a pair: {self._answers.about}. {limit}"

    def instruction(self, label: LabelAnswer) -> str:
        meaning = f'"{label.word}" ({label.description})'
        if self._answers.kind == "pair":
            return f"Write a second sentence that makes the pair {meaning}. {self._limit.format('sentence')}"
        return f"Write one example of the following: {self._answers.about}. Its class is {meaning}. {self._limit.format('text')}"

    def phrase(self) -> str:
        return 'The subject is "{value}".'
