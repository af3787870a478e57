"""The errors that users see: one class per kind of fault, each message complete in itself.

A message says what is wrong, where (config key, or file:line), what was found, what is allowed and what to do next.
Whoever catches one at the boundary of an experiment prints `str(error)` and no traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class JapagenError(Exception):
    """A fault that the user can mend; its text is the whole message."""


class ConfigError(JapagenError, ValueError):
    """A setting, or a combination of settings, that can't be run."""


class DataError(JapagenError, ValueError):
    """A gold or user file that can't be had or can't be read."""


class UnreachableError(ConfigError, DataError):
    """A publisher's file or a hub model's commit that isn't on this machine, and that neither the network nor a mirror gives now."""


class ServerError(JapagenError, RuntimeError):
    """The LLM server didn't start, died too often, or refused what we asked."""


class GenerationError(JapagenError, RuntimeError):
    """A stream that can't give the texts asked for within its budget; what was made stays in the store."""


class LimitError(GenerationError):
    """A limit on an LLM's tokens or cost that is reached; what was made stays in the store."""


class MissingTextsError(GenerationError):
    """A data set whose stream isn't complete: whoever should have filled it failed, or hasn't finished."""


class StoreError(JapagenError, RuntimeError):
    """The store can't be read or written, or somebody else holds what we need."""


class FetchError(JapagenError, RuntimeError):
    """A model that can't be brought onto this machine."""


class TrainingError(JapagenError, RuntimeError):
    """A student that can't be trained on the rows at hand."""


def nearest(name: object, allowed: Iterable[str]) -> str:
    """' (did you mean X?)' for the allowed name closest to `name`, or '' where none is close."""
    matches = get_close_matches(str(name), list(allowed), n=1, cutoff=0.5)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def check_choice(key: str, value: object, allowed: Iterable[str]) -> None:
    """Raises ConfigError, naming key, value, what is allowed and the nearest match, unless `value` is allowed."""
    allowed = list(allowed)
    if value not in allowed:
        raise ConfigError(f"{key}={value!r} is not known{nearest(value, allowed)}; allowed: {', '.join(allowed)}")


def check_at_least(key: str, value: float, least: float) -> None:
    """Raises ConfigError unless `value` is `least` or more."""
    if not value >= least:
        raise ConfigError(f"{key}={value} is too small; allowed: {least} or more")
