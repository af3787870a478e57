"""What an LLM does for each of its stages: what it is asked, the longest prompt and reply, and when the stage is complete."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from japagen.config.schema import WRITTEN_ANSWERS
from japagen.experiments.answers import CALIBRATION, read_answers
from japagen.experiments.experiment import Experiment
from japagen.experiments.requests import select, selected
from japagen.prompts import questions
from japagen.prompts.questions import Question
from japagen.prompts.scaffold import scaffold_of
from japagen.prompts.writing import Message, Prompting
from japagen.store.store import Store

Texts = tuple[str, ...]
Longest = Iterator[tuple[Sequence[list[Message]], int]]
"""Prompts, one of them the longest there is, and the tokens that a reply to it may have; one pair a turn."""


@dataclass(frozen=True)
class Writing:
    """The stream: replies that become texts."""

    experiment: Experiment
    stage: str

    def longest(self) -> Longest:
        stream = self.experiment.stream
        for turn in range(self.experiment.task.num_turns):
            yield stream.longest_prompts(turn), self.experiment.config.llm.sampling.longest * stream.texts_per_reply(turn)

    def is_complete(self, store: Store) -> bool:
        """Whether the stored rows are enough; MissingTextsError where judging them shows that they are not."""
        files = store.path(self.stage, self.experiment.keys[self.stage]).glob("rows-*.jsonl")
        if sum(path.read_bytes().count(b"\n") for path in files) < self.experiment.config.num_per_label * len(self.experiment.task.labels):
            return False  # too few to be worth judging
        select(self.experiment, store)
        return True


@dataclass(frozen=True)
class Asking:
    """A question about each accepted text of the stream; the classes below ask about other texts, or otherwise."""

    experiment: Experiment
    stage: str
    answer: str = "channel"
    """How the LLM answers, see method.answer."""
    template: int = 0
    max_tokens: int = 1
    """The longest written answer."""

    def texts(self, store: Store) -> list[tuple[str, Texts]]:
        """(id, texts) of every question; MissingTextsError where the texts are not all there."""
        return [(example.id, example.texts) for example in selected(self.experiment, store)]

    def ids(self, store: Store) -> list[str]:
        """The questions' ids; raises as `texts` does."""
        return [id_ for id_, _ in self.texts(store)]

    def questions(self, store: Store) -> list[Question]:
        """All questions; raises as `texts` does."""
        task, texts, exemplars, template = self.experiment.task, self.texts(store), self.experiment.exemplars, self.template
        if self.answer == "channel":
            return [questions.channel_question(task, self.prompting, turns, exemplars, id_) for id_, turns in texts]
        shown, forced = questions.balanced_order(task, exemplars, self.experiment.config.seed), self.answer == "choice"
        if self.answer in WRITTEN_ANSWERS:
            return [questions.written_question(task, self.prompting, turns, template, shown, forced, id_) for id_, turns in texts]
        return [questions.label_question(task, self.prompting, turns, template, shown, id_) for id_, turns in texts]

    @property
    def prompting(self) -> Prompting:
        """How prompts of the LLM that is asked are written."""
        llm = self.experiment.llm_of(self.stage)
        return replace(self.experiment.prompting, system_role=llm.system_role, continues=llm.continues)

    def longest_texts(self) -> Texts:
        return ("あ" * self.experiment.task.max_chars,) * self.experiment.task.num_turns

    def longest(self) -> Longest:
        task, prompting, exemplars = self.experiment.task, self.prompting, self.experiment.exemplars
        if self.answer == "channel":
            asked = questions.channel_question(task, prompting, self.longest_texts(), exemplars)
        else:
            shown = [example for examples in exemplars.values() for example in examples]
            asked = questions.label_question(task, prompting, self.longest_texts(), self.template, shown)
        yield [list(chat) for chat in asked.chats], self.max_tokens if self.answer in WRITTEN_ANSWERS else 1

    def is_complete(self, store: Store) -> bool:
        """Whether every question has its answer; raises as `texts` does."""
        answers = read_answers(self.experiment, self.stage, store)
        return all(id_ in answers for id_ in self.ids(store))


class NamingAttributes(Asking):
    """What the task's texts may vary in, asked in several ways until a reply can be used."""

    def ids(self, store: Store) -> list[str]:
        return [question.id for question in self.questions(store)]

    def questions(self, store: Store | None = None) -> list[Question]:
        return questions.attribute_questions(self.experiment.task, self.experiment.config.llm.system_role)

    def longest(self) -> Longest:
        yield [list(self.questions()[0].chats[0])], self.max_tokens


class ScoringLikelihoods(Asking):
    """How probable each text is under its own label's request."""

    def questions(self, store: Store) -> list[Question]:
        examples = selected(self.experiment, store)
        return [questions.likelihood_question(self.experiment.task, self.prompting, example) for example in examples]


class Answering(Asking):
    """The label of each of `Experiment.asked_texts`, and where answers are calibrated of texts without content."""

    def texts(self, store: Store) -> list[tuple[str, Texts]]:
        empty = scaffold_of(self.experiment.task).content_free if self.experiment.is_calibrated else ()
        calibrating = [(f"{CALIBRATION}/{index}", (text,) * self.experiment.task.num_turns) for index, text in enumerate(empty)]
        return [*((str(index), turns) for index, turns in enumerate(self.experiment.asked_texts)), *calibrating]

    def longest_texts(self) -> Texts:
        texts = self.experiment.asked_texts or (super().longest_texts(),)  # none: gold data that aren't here yet
        return max(texts, key=lambda turns: sum(map(len, turns)))


def asking(experiment: Experiment, stage: str) -> Asking:
    """What one of the stages `attributes`, `likelihoods`, `judgements` and `answers` asks."""
    method = experiment.config.method
    return {
        "attributes": NamingAttributes(experiment, stage, "free", max_tokens=512),
        "likelihoods": ScoringLikelihoods(experiment, stage),
        "judgements": Asking(experiment, stage, experiment.config.curate.judge_answer),
        "answers": Answering(experiment, stage, method.answer, experiment.template, method.max_tokens),
    }[stage]


def llm_work(experiment: Experiment, stage: str) -> Writing | Asking:
    """What the LLM does for one of `Experiment.llm_stages`."""
    return Writing(experiment, stage) if stage == "stream" else asking(experiment, stage)
