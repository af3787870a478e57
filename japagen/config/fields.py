"""What the schema's fields state beside type and default: which settings only say where and how fast, and which values are allowed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Facts:
    """Metadata of a field. The fields of a section inherit the section's."""

    running: bool = False
    """The setting says where or how fast, and enters no key."""
    local: bool | None = None
    """The value belongs to this machine or account, so W&B never gets it; None: as `running` is."""
    of_server: bool = True
    """Another value of an LLM's setting needs another server; false: the setting belongs to requests, tables or costs."""
    repeats: bool = False
    """Another value repeats an experiment, as another seed does."""
    is_named: bool = True
    """Reports name the setting where experiments differ in it; false: a column or another setting shows it."""
    is_option: bool = True
    """The names of runs have the setting where it differs from its default."""
    choices: tuple[str, ...] = ()
    """All values allowed; '' for none is not listed in messages."""
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    at_least: str = ""
    """What the least value means, in words."""
    or_else: str = ""
    """What is allowed beside the range, in words."""

    @property
    def is_local(self) -> bool:
        return self.running if self.local is None else self.local

    @property
    def range(self) -> str:
        """The allowed range in words: 'above 0, up to 1'."""
        lower = f"above {self.above}," if self.above is not None else f"{self.least}{self.at_least and f' ({self.at_least})'}"
        upper = f" up to {self.most}" if self.most is not None else "" if self.below is None else f" up to, not including, {self.below}"
        return f"{lower}{upper}".rstrip(",") + self.or_else

    def holds(self, value: float) -> bool:
        """Whether the value lies in the range."""
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )


class Setting(NamedTuple):
    """One setting of a configuration: its dotted name, value and facts."""

    name: str
    value: Any
    facts: Facts


def setting(default: Any = MISSING, *, factory: Any = MISSING, **facts: Any) -> Any:
    """A dataclass field with `facts` as metadata; `factory` makes the default of a section or list."""
    return field(default=default, default_factory=factory, metadata=facts)


@cache
def facts_of(kind: type, section: Facts = Facts()) -> dict[str, Facts]:
    """Field -> facts of a dataclass of the schema, in order; `section` has the facts of the field that holds the dataclass."""
    return {entry.name: replace(section, **entry.metadata) for entry in fields(kind)}


def settings(node: Any, where: str = "", section: Facts = Facts()) -> Iterator[Setting]:
    """Every setting of a configuration or section, in the order of the schema."""
    for name, facts in facts_of(node.__class__, section).items():
        value = getattr(node, name)
        if is_dataclass(value):
            yield from settings(value, f"{where}{name}.", facts)
        else:
            yield Setting(f"{where}{name}", value, facts)


def select(content: Mapping[str, Any], kind: type, wanted: Callable[[Facts], bool], section: Facts = Facts()) -> dict[str, Any]:
    """The wanted settings of a section of type `kind`, nested as in `content`, e.g. what `asdict` gives; sections left empty are absent."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        facts = facts_of(kind, section).get(name, section)
        below = without_optional(hints_of(kind).get(name))
        if isinstance(value, Mapping) and isinstance(below, type) and is_dataclass(below):
            value = select(value, below, wanted, facts)
            found |= {name: value} if value else {}
        elif wanted(facts):
            found[name] = value
    return found


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    """Field -> type of a dataclass."""
    return get_type_hints(kind)


def without_optional(kind: Any) -> Any:
    """The type in an Optional; any other as it is."""
    return get_args(kind)[0] if get_origin(kind) is Union else kind
