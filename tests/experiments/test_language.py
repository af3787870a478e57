"""A task's prompts, its language and its LLM that don't go together are refused when planned, with the line to write."""

import pytest

from japagen.config.schema import Config
from japagen.errors import ConfigError
from japagen.experiments import planning
from japagen.experiments.language import check_language
from tests.conftest import Compose

ENGLISH = [
    "task.system=You write messages to a bank as examples for sorting them.",
    "task.labels=[{name: acceptable, instruction: Write a message of a customer who lost a card.},"
    "{name: unacceptable, instruction: Write a message of a customer who asks for an exchange rate.}]",
]


@pytest.fixture
def english(composed: Compose) -> Compose:
    return lambda *overrides: composed("task=jcola", "llm=qwen3-4b", *ENGLISH, *overrides)


def test_english_prompts_of_a_japanese_task_are_refused_with_the_line_to_write(english: Compose) -> None:
    expected = (
        r"task 'jcola': its instructions are in English \('You write messages .* …\) and don't name Japanese, but language=ja, .*"
        r"write `language: en` into task/jcola\.yaml, or type task\.language=en"
    )
    with pytest.raises(ConfigError, match=expected):
        planning.plan_experiment(english())


@pytest.mark.parametrize(
    "overrides",
    [
        ["task.language=en"],
        ["task.language=''"],
        ["method=gold"],
        ["task.system=You write texts in Japanese."],
        ["task.language=de", "task.system=You write texts in German."],
        ["task.language=de", "task.system=Schreibe auf Deutsch."],
    ],
    ids=str,
)
def test_prompts_that_fit_are_taken(english: Compose, overrides: list[str]) -> None:
    check_language(english(*overrides))


def test_prompts_in_another_language_than_said_are_refused(english: Compose, composed: Compose) -> None:
    with pytest.raises(ConfigError, match=r"in English .* don't name German, but language=de, .* write `language: en`"):
        check_language(english("task.language=de"))
    with pytest.raises(ConfigError, match=r"in Japanese .* don't name English, but language=en, .* write `language: ja`"):
        check_language(composed("task=jcola", "llm=qwen3-4b", "task.language=en"))


@pytest.mark.parametrize("task", ["jsts", "jnli", "jcola", "marcja", "news", "covid19"])
def test_the_tasks_that_ship_are_taken_with_the_demo_llm(composed: Compose, task: str) -> None:
    check_language(composed(f"task={task}"))
    check_language(composed(f"task={task}", "task.language=''"))


def test_the_demo_llm_is_refused_where_texts_are_not_japanese(english: Compose) -> None:
    expected = "task 'jcola': llm=demo writes nothing but Japanese, and the task has English; name another LLM, such as llm=qwen3-0.6b"
    with pytest.raises(ConfigError, match=expected):
        check_language(english("llm=demo", "task.language=en"))
    with pytest.raises(ConfigError, match="llm=demo writes nothing but Japanese, and the task has prompts that are not Japanese"):
        check_language(english("llm=demo", "task.language=''"))
    judged: Config = english("task.language=en", "curate.judging=drop", "+llm@judge=demo")
    with pytest.raises(ConfigError, match="judge=demo writes nothing but Japanese"):
        check_language(judged)
    check_language(english("llm=demo", "task.language=en", "method=gold"))
