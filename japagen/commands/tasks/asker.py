"""How `japagen new-task` gets its answers: from options, from --yes, or typed, with a way back and a summary before anything is written.

Typed answers are kept by question. Going back forgets one and asks from the start again, which passes over all that are kept; so what
depends on a changed answer is asked anew, and nothing else.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape

from japagen.commands.tasks.converters import one_line, split_list
from japagen.errors import ConfigError, JapagenError

BACK = "<"
_Result = TypeVar("_Result")
_FLAGS = {"descriptions": "--description", "attributes": "--attribute"}


class EndOfAnswers(ConfigError):
    """Ctrl-D, or the end of a pipe."""


class _AskAgain(Exception):
    """An answer was taken back."""


@dataclass(frozen=True)
class Found:
    """A proposal that isn't typed text: what was found in a file."""

    shown: str
    value: Any


Proposal = str | Found | None


def flag_of(option: str) -> str:
    """The flag as typed; options that are repeated for each value are named in the singular."""
    return _FLAGS.get(option, f"--{option.replace('_', '-')}")


class Asker:
    """Gets one answer after the other."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._options, self._console = options, console
        self._typed: dict[str, str] = {}
        """Question -> what was typed; '' for a proposal that was taken."""
        self._former: dict[str, str] = {}
        """Answers taken back, proposed when they are asked for again."""
        self._asked: dict[str, tuple[str, str]] = {}
        """Question -> (its words, the answer as shown) of those typed in this pass, in their order."""

    def run(self, ask_all: Callable[[], _Result]) -> _Result:
        """What `ask_all` makes of the answers, once whoever typed has agreed to the summary of them."""
        while True:
            self._asked.clear()
            try:
                result = ask_all()
                if self._asked:
                    self._confirm()
                return result
            except _AskAgain:
                continue

    def ask(self, option: str, question: str, convert: Callable[[str], Any], proposal: Proposal = None, hint: str = "") -> Any:
        """The converted answer; ConfigError where an option's answer is wrong, or where answers end."""
        flag, given = flag_of(option), getattr(self._options, option)
        if given is not None:
            return _converted(convert, given, flag)
        if self._options.yes:
            if proposal is None:
                raise ConfigError(f"{flag} is missing, and there is no proposal for it that --yes could take: {question}")
            return proposal.value if isinstance(proposal, Found) else _converted(convert, proposal, flag)
        return self._type(option, question, convert, proposal, hint, flag)

    def ask_each(self, option: str, names: Sequence[str], question: str, proposals: Sequence[str | None], hint: str = "") -> list[str]:
        """One text for each label; the option gives them all."""
        flag, given = flag_of(option), getattr(self._options, option)
        if given is not None:
            texts = given if isinstance(given, list) else split_list(given)
            if len(texts) != len(names):
                raise ConfigError(f"{flag} gives {len(texts)}, but there are {len(names)} labels: {', '.join(names)}")
            return [one_line(text) for text in texts]
        answers = []
        for name, proposal in zip(names, proposals, strict=True):
            if self._options.yes and proposal is None:
                raise ConfigError(
                    f"{flag} is missing, and there is no proposal for it that --yes could take: {question} ({name}); for many labels give"
                    " --labels-file FILE, a table with the columns label, word and description"
                )
            if self._options.yes:
                answers.append(str(proposal))
                continue
            shown = hint if not answers else ""
            convert = _one_word(name, proposal, len(names)) if option == "words" else one_line
            answers.append(self._type(f"{option} {name}", f"{name}: {question}", convert, proposal, shown, flag))
        return answers

    def _type(self, key: str, question: str, convert: Callable[[str], Any], proposal: Proposal, hint: str, flag: str) -> Any:
        """What is typed, or was typed before, asked for until it can be taken."""
        proposal = self._former.get(key, proposal)
        while True:
            is_new = key not in self._typed
            if is_new:
                self._console.print(f"[bold]{escape(question)}[/]{f' [dim]({escape(hint)})[/]' if hint else ''}", soft_wrap=True)
                self._typed[key] = self._input(proposal, question, flag)
            typed = self._typed[key]
            if is_new and typed == BACK:
                del self._typed[key]
                self._go_back()
            try:
                value = proposal.value if not typed and isinstance(proposal, Found) else convert(typed or _text_of(proposal))
                self._asked[key] = question, typed or (proposal.shown if isinstance(proposal, Found) else proposal or "")
                return value
            except JapagenError as error:
                del self._typed[key]
                if is_new:
                    self._console.print(str(error), style="red", markup=False, soft_wrap=True)

    def _input(self, proposal: Proposal, question: str, flag: str) -> str:
        shown = proposal.shown if isinstance(proposal, Found) else proposal
        try:
            return input(f"  [{shown}] " if shown else "  ").strip()
        except EOFError as error:
            print()
            raise EndOfAnswers(f"the answers ended at {question!r}, so nothing was written; answer there, or with {flag}") from error

    def _go_back(self) -> None:
        """Takes the last answer back; nothing at the first question."""
        if self._asked:
            self._take_back(list(self._asked)[-1])
        raise _AskAgain

    def _take_back(self, key: str) -> None:
        typed = self._typed.pop(key)
        if typed:
            self._former[key] = typed

    def _confirm(self) -> None:
        """Shows what was typed; returns once it is agreed to, else takes back the answer named."""
        self._console.print("\n[bold]Your answers[/]")
        for number, (question, answer) in enumerate(self._asked.values(), start=1):
            self._console.print(f"{number:3}  {question}: {answer or '-'}", markup=False, soft_wrap=True)
        question = "Write it?"
        while True:
            self._console.print(f"[bold]{question}[/] [dim](Enter: yes; a number: change that answer; {BACK}: change the last)[/]")
            answer = self._input(None, question, "--yes")
            if not answer or answer.casefold() in ("y", "yes"):
                return
            if answer == BACK:
                self._go_back()
            if answer.isdecimal() and 1 <= int(answer) <= len(self._asked):
                self._take_back(list(self._asked)[int(answer) - 1])
                raise _AskAgain
            self._console.print(f"{answer!r} is none of these numbers; Ctrl-C ends without writing", style="red", markup=False)


def _text_of(proposal: Proposal) -> str:
    return proposal if isinstance(proposal, str) else ""


def _one_word(name: str, proposal: str | None, num_labels: int) -> Callable[[str], str]:
    """Takes one label's word; a list of them is explained."""

    def check(answer: str) -> str:
        if answer != proposal and 1 < len(split_list(answer)) in (num_labels, num_labels - 1):
            raise ConfigError(f"{answer!r} is a list; type the word for {name!r} alone here, the other labels are asked next")
        return one_line(answer)

    return check


def _converted(convert: Callable[[str], Any], answer: Any, flag: str) -> Any:
    try:
        return convert(answer)
    except JapagenError as error:
        raise ConfigError(f"{flag}: {error}") from error
