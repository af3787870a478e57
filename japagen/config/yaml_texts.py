"""Text that a YAML file gives without quotes and YAML takes for something else: No is a truth value to it, and 010 is the number 8.

OmegaConf would make 'False' and '8' of these where the schema asks for text, in silence. They are refused when Hydra reads the file, with
the line to type. Numbers that are written as they are printed (0, 1, 2.5) are taken as texts.
"""

from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import yaml
from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader

from japagen.config.fields import hints_of, without_optional
from japagen.errors import ConfigError

_NO_TEXT = [f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "null")]
Name = str | int | float | bool | None
KeyPath = tuple[Name, ...]
"""Keys and positions on the way from the file's top to a value."""


def check_files_of(schema: type) -> None:
    """Has Hydra check each YAML file that it reads against `schema`, the configuration's, before it merges them."""

    class FileConfigSource(file_config_source.FileConfigSource):  # the name decides that Hydra doesn't put its own back
        def load_config(self, config_path: str) -> ConfigResult:
            result = super().load_config(config_path)
            kind = _kind_below(schema, result.header["package"], config_path.rpartition("/")[0])
            if kind is not None:
                file = self._normalize_file_name(config_path)
                check_texts(Path(self.path, file), OmegaConf.to_container(result.config, resolve=False), kind)
            return result

    SourcesRegistry.instance().types["file"] = FileConfigSource


def _kind_below(schema: type, package: str | None, group: str) -> Any:
    """The part of the schema that a file of `group` fills, by its `# @package` line where it has one; None where it fills none."""
    named = group.replace("/", ".") if package in (None, "_group_") else str(package)
    kind: Any = schema
    for name in filter(None, named.replace("_global_", "").split(".")):
        kind = without_optional(hints_of(kind).get(name)) if isinstance(kind, type) and is_dataclass(kind) else None
    return kind


def check_texts(path: Path, content: Any, kind: Any) -> None:
    """Raises ConfigError, naming the line, where `path`, which was read as `content`, has no text where `kind` asks for one."""
    suspects = list(_no_texts(content, kind, ()))
    root = yaml.compose(path.read_text(encoding="utf-8"), Loader=get_yaml_loader()) if suspects else None
    for key_path, value, is_key in suspects:
        node = _node_at(root, key_path, is_key)
        written = str(value) if node is None else node.value
        if written and (is_key or isinstance(value, bool) or written != str(value)):
            line = "" if node is None else f":{node.start_mark.line + 1}"
            problem = f"{path}{line}: {_dotted(key_path)} must be text, and YAML reads {written} as {_read_as(value)}"
            raise ConfigError(f"{problem}; {_cure(key_path, written, value, is_key)}")


def _no_texts(value: Any, kind: Any, key_path: KeyPath) -> Iterator[tuple[KeyPath, Any, bool]]:
    """(where, what, whether it is a mapping's key) of all that isn't text where `kind` asks for text."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Union:  # Optional
        if value is not None:
            yield from _no_texts(value, arguments[0], key_path)
    elif isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        hints = hints_of(kind)
        for name in (key for key in value if key in hints):
            yield from _no_texts(value[name], hints[name], (*key_path, name))
    elif origin is list and isinstance(value, list):
        for position, entry in enumerate(value):
            yield from _no_texts(entry, arguments[0], (*key_path, position))
    elif origin is dict and isinstance(value, dict):
        for name, entry in value.items():
            if not isinstance(name, str):
                yield (*key_path, name), name, True
            yield from _no_texts(entry, arguments[1], (*key_path, name))
    elif kind is str and not isinstance(value, str | dict | list):
        yield key_path, value, False


def _node_at(node: yaml.Node | None, key_path: KeyPath, is_key: bool) -> yaml.Node | None:
    """The scalar at `key_path`, or the mapping's key itself; None where the file has it elsewhere (merged by <<)."""
    for depth, name in enumerate(key_path, start=1):
        if isinstance(node, yaml.SequenceNode) and isinstance(name, int):
            node = node.value[name]
        elif isinstance(node, yaml.MappingNode):
            found = next((entry for entry in node.value if _is_key(entry[0], name)), (None, None))
            node = found[0] if is_key and depth == len(key_path) else found[1]
    return node if isinstance(node, yaml.ScalarNode) else None


def _is_key(node: yaml.Node, name: Name) -> bool:
    if isinstance(name, str) or node.tag not in _NO_TEXT:
        return bool(node.value == name)
    return bool(yaml.load(node.value, Loader=get_yaml_loader()) == name)


def _dotted(key_path: KeyPath) -> str:
    """labels[0].name"""
    return "".join(f"[{name}]" if type(name) is int else f".{name}" for name in key_path).removeprefix(".")


def _read_as(value: Any) -> str:
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    return "no value" if value is None else f"the number {value}"


def _cure(key_path: KeyPath, written: str, value: Any, is_key: bool) -> str:
    """How it is mended, with what to type in place of `written`."""
    name, quoted = key_path[-1], f'"{written}"'
    typed = f"{quoted}: …" if is_key else quoted if isinstance(name, int) else f"{_as_key(str(name))}: {quoted}"
    return f"{'leave it out, or ' if value is None else ''}put it in quotes: {typed}"


def _as_key(name: str) -> str:
    """The key as one types it: in quotes where YAML would read it as something other than text."""
    is_plain = name.isidentifier() and isinstance(yaml.load(name, Loader=get_yaml_loader()), str)
    return name if is_plain else f'"{name}"'
