"""What is typed at a question of `japagen new-task`, or given as its option -> a value; ConfigError says what is wrong with it."""

import re
from collections.abc import Callable

from japagen.config.languages import find_language
from japagen.errors import ConfigError, check_choice, nearest

_PART = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,、，"]*))(?:\s*=\s*([^,、，]*))?\s*(?:[,、，]|$)')
LabelNames = tuple[list[str], dict[str, str]]
"""Labels' names in their order, and a file's value -> name where they differ."""


def split_list(answer: str) -> list[str]:
    """The parts of a list, apart by commas; a part in double quotes may hold commas."""
    return [name if value is None else f"{value}={name}" for value, name in split_pairs(answer)]


def split_pairs(answer: str) -> list[tuple[str | None, str]]:
    """(VALUE, NAME) of each part VALUE=NAME, (None, NAME) of others; what stands in double quotes is taken word for word."""
    pairs: list[tuple[str | None, str]] = []
    position = 0
    while position < len(answer):
        found = _PART.match(answer, position)
        if found is None:
            raise ConfigError(f"{answer!r}: a double quote must open a part and close it")
        position = max(found.end(), position + 1)
        quoted, plain, name = found[1], found[2], found[3]
        if quoted is not None:
            text = quoted.replace('""', '"').strip()
            pairs.append((None, text) if name is None else (text, name.strip()))
        elif name is not None:
            pairs.append((plain.strip(), name.strip()))
        elif "=" in plain:
            value, _, rest = plain.rpartition("=")
            pairs.append((value.strip(), rest.strip()))
        elif plain.strip():
            pairs.append((None, plain.strip()))
    return pairs


def labels(answer: str) -> LabelNames:
    """Names apart by commas, VALUE=NAME where a file says VALUE."""
    pairs = split_pairs(answer)
    return checked_names([name for _, name in pairs]), {value: name for value, name in pairs if value is not None}


def checked_names(names: list[str]) -> list[str]:
    """Two or more names that differ."""
    if len(names) < 2:
        raise ConfigError(f"{len(names)} label(s); a task needs 2 or more, separated by commas")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated or "" in names:
        raise ConfigError(f"labels need names of their own; found {', '.join(names)}")
    return names


def names_for(num: int) -> Callable[[str], list[str]]:
    """Takes names for `num` labels."""

    def check(answer: str) -> list[str]:
        names = checked_names(split_list(answer))
        if len(names) != num:
            raise ConfigError(f"{len(names)} names, but the file has {num} labels")
        return names

    return check


def scores_for(names: list[str]) -> Callable[[str], list[float | None]]:
    """Takes one number for each label."""

    def check(answer: str) -> list[float | None]:
        try:
            scores = [float(part) for part in split_list(answer)]
        except ValueError as error:
            raise ConfigError(f"{answer!r}: scores are numbers, separated by commas") from error
        if len(scores) != len(names) or len(set(scores)) != len(scores):
            raise ConfigError(f"{len(set(scores))} different scores; there are {len(names)} labels: {', '.join(names)}")
        return list(scores)

    return check


def attributes(answer: str | list[str]) -> dict[str, list[str]]:
    """NAME=A,B; several apart by semicolons when typed, by repeating the option else."""
    found: dict[str, list[str]] = {}
    for part in answer if isinstance(answer, list) else filter(None, (part.strip() for part in answer.split(";"))):
        name, separator, values = part.partition("=")
        listed = split_list(values)
        if not separator or not name.strip() or len(set(listed)) < 2 or len(set(listed)) < len(listed):
            raise ConfigError(f"{part!r} must be NAME=VALUE,VALUE with two or more different values")
        found[name.strip()] = listed
    return found


def one_of(*allowed: str) -> Callable[[str], str]:
    """Takes one of these words."""

    def check(answer: str) -> str:
        if answer not in allowed:
            raise ConfigError(f"{answer!r} is not known{nearest(answer, allowed)}; allowed: {', '.join(allowed)}")
        return answer

    return check


def yes_or_no(answer: str) -> bool:
    """Whether the answer is yes."""
    given = {"y": "yes", "n": "no"}.get(answer.casefold(), answer.casefold())
    return one_of("yes", "no")(given) == "yes"


def language(answer: str) -> str:
    """The code of a language in any of its names; '' for any."""
    return "" if answer.strip().casefold() in ("any", "") else find_language(answer)


def one_line(answer: str) -> str:
    """The text, which must be one line."""
    if not answer.strip() or not answer.strip().isprintable():
        raise ConfigError("one line of text is needed here")
    return answer.strip()


def whole_number(answer: str) -> int:
    """The number."""
    if not answer.isdecimal() or int(answer) < 2:
        raise ConfigError(f"{answer!r} is no whole number from 2")
    return int(answer)


def column(answer: str, columns: list[str], file: str) -> str:
    """A column's name, of a file's `columns` where there is one; a list is explained."""
    name = one_line(answer)
    if not columns and len(split_list(name)) > 1:
        raise ConfigError(f"{name!r} is a list; the name of one column of your file is asked here, the labels themselves are asked later")
    if columns:
        check_choice(f"column of {file}", name, columns)
    return name
