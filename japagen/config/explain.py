"""What the command line says: errors of configuration in words, with the key, the value, what is allowed and the nearest match."""

import re
import traceback
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import hydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError
from yaml.reader import ReaderError

from japagen.config.fields import hints_of, without_optional
from japagen.config.schema import Config
from japagen.errors import JapagenError, nearest

_ESCAPE = 0x1B
_WRONG_TYPES = {
    r"Value '(.*)' of type '\w+' could not be converted to Integer": "a whole number; found {!r}",
    r"Value '(.*)' of type '\w+' could not be converted to Float": "a number; found {!r}",
    r"Value '(.*)' is not a valid bool": "true or false; found {!r}",
    r"Cannot convert '(\w+)' to string": "a text; found one of type {}",
    r"Invalid value assigned: (\w+) is not a ListConfig": "a list, [VALUE, VALUE]; found one of type {}",
    r"Cannot assign (\w+) to Dict": "a mapping, {{NAME: VALUE}}; found one of type {}",
    r"(?:field '.*' is not Optional|Incompatible value 'None')()": "set; found null",
}
"""What OmegaConf says of a value that doesn't fit, and what it must be; in brackets, what was found."""


def explain(error: BaseException) -> str | None:
    """The message for a user's error; None for a bug of japagen, whose traceback must be seen."""
    if isinstance(error, JapagenError):
        return f"error: {error}"
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return f"error: {group}={name!r} is not known{nearest(name, error.options)}; allowed: {', '.join(error.options)}"
    if str(error).startswith("Config group override must be"):
        return f"error: {error}, as of task=1; give a name that the group has, e.g. task=jnli"
    shadowed = re.match(r"Could not override '(\w+)'\. No match in the defaults list", str(error))
    if shadowed and shadowed[1] in known_settings(""):
        name = shadowed[1]
        where = f"a folder {name!r} stands in --config-dir, so Hydra takes it for a group"
        return f"error: {name}=… is a setting, but {where}; move that folder elsewhere"
    if (unread := _explain_typed(error) or _explain_file(error)) is not None:
        return f"error: {unread}"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OmegaConfBaseException):
            return f"error: {_explain_omegaconf(cause)}"
        cause = cause.__cause__ or cause.__context__
    return f"error: {str(error).strip()}" if isinstance(error, HydraException) else None


def _explain_typed(error: BaseException) -> str | None:
    """What is wrong with a setting as it was typed, where Hydra can't read it or takes it for several."""
    several = re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", str(error))
    if several is None and not isinstance(error, OverrideParseException):
        return None
    typed = several[1] if several else str(getattr(error, "override", ""))
    name, equals, value = typed.partition("=")
    if not equals:
        return f"{typed!r} is no setting; settings are typed NAME=VALUE, e.g. task=jnli"
    quoted = value.replace("'", "\\'")
    if several:
        return f"{typed} names several values: add -m for an experiment with each; if it is one text, quote it: \"{name}='{quoted}'\""
    if value.startswith(("[", "{")):
        return f"{typed} can't be read; lists and mappings are typed \"{name}=['VALUE', 'VALUE']\" and \"{name}={{NAME: 'VALUE'}}\""
    return f"{typed} can't be read; a text with other signs than letters A to z and digits is quoted: \"{name}='{quoted}'\""


def _explain_file(error: BaseException) -> str | None:
    """What is wrong with a YAML file, e.g. one of --config-dir, or with the folder that Hydra makes."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{mark.name}:{mark.line + 1}: not YAML ({error.problem} at column {mark.column + 1})"
    if isinstance(error, ReaderError) and error.character == _ESCAPE:
        return f"{error.name} is no text in UTF-8: it holds an escape character, as mail software's ISO-2022-JP does; save it as UTF-8"
    if isinstance(error, YAMLError):
        return f"not YAML: {' '.join(str(error).split())}"
    if not isinstance(error, ValueError | RecursionError | OSError):
        return None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if "pathlib" not in frame.f_code.co_filename]
    for frame in frames:
        if frame.f_code.co_filename.endswith("file_config_source.py"):  # Hydra's reader: the error doesn't name the file
            cause = "a number has too many digits, or values are nested too deep"
            if isinstance(error, UnicodeDecodeError):
                cause = "not UTF-8; save it as UTF-8"
            elif isinstance(error, OSError):
                cause = error.strerror or str(error)
            return f"{frame.f_locals.get('full_path')} can't be read: {cause}"
    if isinstance(error, OSError) and frames and Path(hydra.__file__).parent in Path(frames[-1].f_code.co_filename).parents:
        where = "name another folder for a run's notes: hydra.run.dir=DIR, with -m hydra.sweep.dir=DIR"
        return f"{error.filename} can't be written: {error.strerror}; {where}"
    return None


def _explain_omegaconf(error: OmegaConfBaseException) -> str:
    key, first = getattr(error, "full_key", None) or "", str(error).splitlines()[0]
    if isinstance(error, ConfigAttributeError | ConfigKeyError) and key:
        parent, _, name = key.rpartition(".")
        if parent and "is not in struct" in first:  # a mapping whose names are free
            return f"{parent} has no entry {name!r} yet; a new one is added by +{key}=VALUE"
        allowed = known_settings(parent)
        if allowed:
            where = f"{parent} has no setting {name!r}" if parent else f"there is no setting {name!r}"
            return f"{where}{nearest(name, allowed)}; allowed: {', '.join(allowed)}"
    for pattern, expected in _WRONG_TYPES.items():
        if found := re.match(pattern, first):
            return f"{key} must be {expected.format(found[1])}"
    if found := re.match(r".* is not a subclass of (\w+)\. value: (.*)", first):
        group = key or found[1].lower()
        another = "; another LLM judges by +llm@judge=NAME" if group == "judge" else ""
        return f"{group} has settings of its own: {', '.join(known_settings(group))}; found {found[2]!r}{another}"
    return f"{key}: {first}" if key else first


def known_settings(path: str) -> list[str]:
    """Names of the settings below a dotted path of the schema; none where the path leads elsewhere."""
    node: Any = Config
    for name in filter(None, path.split(".")):
        hints = hints_of(node) if isinstance(node, type) and is_dataclass(node) else {}
        node = without_optional(hints.get(name.partition("[")[0]))
        if get_origin(node) in (list, dict):
            node = get_args(node)[-1]
    return [field.name for field in fields(node)] if is_dataclass(node) else []
