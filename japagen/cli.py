"""What the command line says: errors of configuration in words, with the key, the value, what is allowed and the nearest match."""

import re
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from japagen.config import Config
from japagen.errors import JapagenError, nearest


def explain(error: BaseException) -> str | None:
    """The message for a fault of the user's; None for a fault of ours, whose traceback must be seen."""
    if isinstance(error, JapagenError):
        return f"error: {error}"
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return f"error: {group}={name!r} is not known{nearest(name, error.options)}; allowed: {', '.join(error.options)}"
    shadowed = re.match(r"Could not override '(\w+)'\. No match in the defaults list", str(error))
    if shadowed and shadowed[1] in known_settings(""):
        name = shadowed[1]
        where = f"a folder {name!r} stands in --config-dir, so Hydra takes it for a group"
        return f"error: {name}=… is a setting, but {where}; move that folder elsewhere"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OmegaConfBaseException):
            return f"error: {_explain_omegaconf(cause)}"
        cause = cause.__cause__ or cause.__context__
    return f"error: {str(error).strip()}" if isinstance(error, HydraException) else None


def _explain_omegaconf(error: OmegaConfBaseException) -> str:
    key = getattr(error, "full_key", None) or ""
    if isinstance(error, ConfigAttributeError | ConfigKeyError) and key:
        parent, _, name = key.rpartition(".")
        allowed = known_settings(parent)
        if allowed:
            where = f"{parent} has no setting {name!r}" if parent else f"there is no setting {name!r}"
            return f"{where}{nearest(name, allowed)}; allowed: {', '.join(allowed)}"
    first = str(error).splitlines()[0]
    return f"{key}: {first}" if key else first


def known_settings(path: str) -> list[str]:
    """Names of the settings below a dotted path of the schema; none where the path leads elsewhere."""
    node: Any = Config
    for name in filter(None, path.split(".")):
        hints = get_type_hints(node) if is_dataclass(node) else {}
        node = hints.get(name.partition("[")[0])
        if get_origin(node) in (list, dict):
            node = get_args(node)[-1]
    return [one.name for one in fields(node)] if is_dataclass(node) else []
