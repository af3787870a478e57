"""A prompt file in the form of JapaGen's authors (github.com/retrieva/JapaGen, config/*.json) as a Task of this project.

Their form is one JSON object: `task_name`; `content`, the system message; for pairs `first instruction`; `labels`, an object
whose values hold an `instruction` each; and, for KADG, a list of strings under a name such as `object` or `genre`, one of
which is written wherever a text holds that name in double quotes (`"object"`). This project draws values too, but writes them in a
sentence after the instruction (in pairs the first one), so placeholders are taken out of the texts:

- `content`: the sentence with the placeholder becomes that sentence after the instruction, and leaves the system message.
- a label's instruction: `described` (prompt=kadg) refers to the value drawn, `instruction` (prompt=base) leaves it to the LLM.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.errors import ConfigError, DataError, nearest
from japagen.store.files import check_encoding
from japagen.tasks import Attribute, Label

_KNOWN = ("task_name", "content", "first instruction", "labels")
_DRAWN = "指定のもの"
_FREE = "自由に選んだもの"
_DRAWN_PHRASE = "指定のものは「{value}」です。"
_LIMIT = re.compile(r"(\d+)\s*(?:文字|字)")


@dataclass(frozen=True)
class PaperForm:
    """The content of such a file, in this project's terms."""

    name: str
    system: str
    first_instruction: str
    labels: tuple[Label, ...]
    attributes: tuple[Attribute, ...]
    ignored: tuple[str, ...]
    """Keys that are ignored, and why."""

    @property
    def max_chars(self) -> int | None:
        """The limit that its texts name, if they do."""
        for text in (self.system, self.first_instruction, *(label.instruction for label in self.labels)):
            if (found := _LIMIT.search(text)) is not None:
                return int(found[1])
        return None


def read_paper_form(path: Path) -> PaperForm:
    """Raises DataError, naming key and file, for what is missing or has another form."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"--from {path} can't be read: {error.strerror}") from error
    check_encoding(path, content)
    try:
        raw = json.loads(content.decode("utf-8-sig"))
        json.dumps(raw, ensure_ascii=False).encode()  # refuses half a character, which JSON can write and no file takes
    except (ValueError, RecursionError) as error:
        raise DataError(f"--from {path}: not JSON in UTF-8 ({error})") from error
    if not isinstance(raw, dict):
        raise DataError(f"--from {path}: must be one JSON object with {', '.join(_KNOWN)}; found {type(raw).__name__}")
    return _Reader(path, raw).read()


class _Reader:
    def __init__(self, path: Path, raw: dict[str, Any]) -> None:
        self._path, self._raw = path, raw
        self._lists = {name: value for name, value in raw.items() if name not in _KNOWN and _is_list_of_texts(value)}
        self._ignored = [name for name in raw if name not in _KNOWN and name not in self._lists]

    def read(self) -> PaperForm:
        missing = [name for name in ("task_name", "content", "labels") if name not in self._raw]
        if missing:
            near = "".join(nearest(name, self._ignored) for name in missing)
            raise self._fault(f"{', '.join(missing)} missing{near}; found: {', '.join(self._raw) or 'nothing'}")
        name = self._text("task_name", self._raw["task_name"])
        first = self._raw.get("first instruction")
        first = "" if first is None else self._text("first instruction", first)
        if (named := self._placeholder(first)) is not None:
            raise self._fault(f'first instruction holds "{named}"; write it into `content`, in a sentence of its own')
        system, moved = self._system(self._text("content", self._raw["content"]))
        labels, in_labels = self._labels(is_pair=bool(first))
        attributes = [self._attribute(name, moved.get(name), in_labels.get(name, []), len(labels)) for name in self._lists]
        kept = tuple(attribute for attribute in attributes if attribute is not None)
        return PaperForm(name, system, first, labels, kept, tuple(self._ignored))

    def _fault(self, what: str) -> DataError:
        return DataError(f"--from {self._path}: {what}")

    def _text(self, key: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self._fault(f"{key} must be a text; found {value!r:.60}")
        braces = re.search(r"\{[^{}]*\}", value)
        if braces is not None:
            raise self._fault(
                f"{key} holds {braces[0]!r:.60}, which nothing is put in for: write the text itself (a pair's first sentence goes back to"
                ' the LLM as its own reply), or name a list of strings in double quotes, as in "object"'
            )
        return value.strip()

    def _placeholder(self, text: str) -> str | None:
        return next((name for name in self._lists if f'"{name}"' in text), None)

    def _system(self, content: str) -> tuple[str, dict[str, str]]:
        """The system message without sentences that hold a placeholder, and these: {list: sentence with {value}}."""
        moved: dict[str, str] = {}
        lines = []
        for line in content.split("\n"):
            kept = []
            for sentence in re.findall(r"[^。]+。?|。", line):
                name = self._placeholder(sentence)
                if name is None:
                    kept.append(sentence)
                    continue
                if name in moved:
                    raise self._fault(f'content names "{name}" in two sentences; name it in one')
                sentence = re.sub(r"^\s*[-・*]\s*", "", sentence.strip())
                moved[name] = re.sub(rf'[「『]?"{re.escape(name)}"[」』]?', "「{value}」", sentence)
                if (other := self._placeholder(moved[name])) is not None:
                    raise self._fault(f'content names "{name}" and "{other}" in one sentence; give each a sentence of its own')
            if kept or not line:
                lines.append("".join(kept))
        system = "\n".join(lines).strip()
        if not system:
            raise self._fault("content holds nothing but sentences with placeholders; it must describe the task too")
        return system, moved

    def _labels(self, is_pair: bool) -> tuple[tuple[Label, ...], dict[str, list[str]]]:
        """The labels, and which of them name which list."""
        raw = self._raw["labels"]
        if not isinstance(raw, dict) or len(raw) < 2:
            raise self._fault(f"labels must be an object of two or more labels; found {raw!r:.60}")
        naming: dict[str, list[str]] = {}
        labels = []
        for key, value in raw.items():
            if not isinstance(value, dict) or "instruction" not in value:
                raise self._fault(f"labels.{key}.instruction missing; found {value!r:.60}")
            self._ignored += [f"labels.{key}.{name}" for name in value if name != "instruction"]
            text = self._text(f"labels.{key}.instruction", value["instruction"])
            named = [name for name in self._lists if f'"{name}"' in text]
            if named and is_pair:
                raise self._fault(
                    f'labels.{key}.instruction holds "{named[0]}"; in a pair task only `content` may, since both sentences share it'
                )
            if len(named) > 1:
                raise self._fault(f"labels.{key}.instruction names two lists ({', '.join(named)}); one is what ours can say")
            for name in named:
                naming.setdefault(name, []).append(str(key))
            labels.append(Label(str(key), _put(text, named, _FREE), _put(text, named, _DRAWN) if named else ""))
        return tuple(labels), naming

    def _attribute(self, name: str, moved: str | None, labels: list[str], num_labels: int) -> Attribute | None:
        if moved is None and not labels:
            self._ignored.append(f'{name} (no text holds "{name}")')
            return None
        if moved is not None and labels:
            raise self._fault(f'"{name}" stands in content and in labels; name it in one of them')
        values = list(dict.fromkeys(self._lists[name]))
        if len(values) < 2:
            raise self._fault(f"{name} must list two or more different texts; found {values}")
        return Attribute(name, values, moved or _DRAWN_PHRASE, labels if len(labels) < num_labels else [])


def _put(text: str, names: list[str], words: str) -> str:
    for name in names:
        text = text.replace(f'"{name}"', words)
    return text


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, str) and entry.strip() for entry in value)


def renamed(form: PaperForm, names: list[str]) -> tuple[tuple[Label, ...], tuple[Attribute, ...]]:
    """The form's labels and attributes with the labels called `names`, in their order."""
    if len(names) != len(form.labels):
        raise ConfigError(
            f"--labels names {len(names)} labels, but the file has {len(form.labels)}: {', '.join(label.name for label in form.labels)}"
        )
    new = {label.name: name for label, name in zip(form.labels, names, strict=True)}
    labels = tuple(Label(new[label.name], label.instruction, label.described) for label in form.labels)
    return labels, tuple(
        Attribute(attribute.name, attribute.values, attribute.phrase, [new[name] for name in attribute.labels])
        for attribute in form.attributes
    )
