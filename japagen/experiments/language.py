"""Whether a task's prompts, its `language` and its LLM go together, seen before anything is asked for.

A task that forgets to say `language: en` would have each of its English replies rejected; the demo LLM writes nothing but Japanese.
"""

import re

from japagen.config.languages import NAMES, names_of
from japagen.config.schema import Config
from japagen.errors import ConfigError
from japagen.prompts.identification import identify, is_other_language
from japagen.tasks import Task

_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d]")
_FROM_DEMO = "qwen3-0.6b"


def check_language(config: Config) -> None:
    """Raises ConfigError for instructions in another language than the task says, and for the demo LLM where that isn't Japanese."""
    kind, task = config.method.kind, config.task
    if not kind.has_llm:
        return
    _check_instructions(task)
    asked = {"llm": config.llm, "judge": config.judge if config.curate.judging != "off" else None}
    for setting, llm in asked.items():
        if llm is not None and llm.demo and not _is_japanese(task):
            language = NAMES[task.language] if task.language else "prompts that are not Japanese"
            raise ConfigError(
                f"task {task.name!r}: {setting}=demo writes nothing but Japanese, and the task has {language}; name another LLM, such as"
                f" {setting}={_FROM_DEMO}"
            )


def _check_instructions(task: Task) -> None:
    language, asked = task.language, _instructions(task)
    if not language or any(name.casefold() in asked.casefold() for name in names_of(language)):
        return
    if not (not _KANA.search(asked) if language == "ja" else is_other_language(asked, language)):
        return
    found = "ja" if _KANA.search(asked) else identify(asked)
    spoken, own = NAMES.get(found, "another language"), NAMES[language]
    code = found if found in NAMES else "en"
    raise ConfigError(
        f"task {task.name!r}: its instructions are in {spoken} ({asked[:50]!r} …) and don't name {own}, but language={language}, so"
        f" replies in {spoken} would all be rejected as 'wrong language'; write `language: {code}` into task/{task.name}.yaml, or type"
        f" task.language={code}; or say in the instructions that the texts are to be in {own}"
    )


def _is_japanese(task: Task) -> bool:
    return task.language == "ja" or (not task.language and bool(_KANA.search(_instructions(task))))


def _instructions(task: Task) -> str:
    """What asks for texts."""
    return "\n".join([task.system, task.first_instruction, *(label.instruction for label in task.labels)])
