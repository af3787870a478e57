"""The rules by which replies are read: what is taken off a reply, and what makes it no text. Each has a name and an example.

This module has the form of a rule and the rules that serve every language; `reply_rules_ja` and `reply_rules_en` have a language's own.
Japanese serves ja and '' (whose keys hold `replies.VERSION`), English every other language, since LLMs that chat around a text they were
asked for in English do so in English.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape

from japagen.prompts.reply_wrappers import json_text, outside_fence, outside_quotes, outside_tags, without_special_tokens

ONE_LINE, SEVERAL_LINES, MESSAGES = "one line", "several lines", "messages"
"""What a task's texts are: one line each, or several (`task.several_lines`); messages of people (`task.genre`)."""
MARKED = (
    r"(?:[*•](?!\*)|・(?!・)|[-–](?![-–\d])|●(?![●○◯×])|[○◯](?=\s|$)"
    r"|[(（]?\d{1,2}(?:[)）]|[.．](?!\d)|[、:：](?![\d〇一二三四五六七八九十]))|[①-⑳](?!\d)|[A-Da-d][)）.．](?=\s))"
)
"""A list marker. A sign or stop right before a digit belongs to a number (「-5℃」, 「1.5リットル」, 「10:30に」, 「3、4人」), and a circle
before a letter stands for a name (「○○さん」)."""
MARKER = re.compile(rf"\s*{MARKED}\s*")
NUMBERED = re.compile(r"\s*(?:[(（]?\d{1,2}(?:[)）]|[.．](?!\d)|[、:：](?![\d〇一二三四五六七八九十]))|[①-⑳])")
"""A list marker that counts."""


@dataclass(frozen=True)
class Strip:
    """A rule that takes something off a reply and leaves the rest."""

    name: str
    """As counted and shown."""
    apply: Callable[[str], str]
    example: tuple[str, str]
    """A reply, and what becomes of it."""
    unless: tuple[str, ...] = ()
    """Passed over where the task's texts are one of these: ONE_LINE, SEVERAL_LINES, MESSAGES."""


@dataclass(frozen=True)
class Refuse:
    """A rule that makes a reply no text."""

    name: str
    reason: str
    """One of `replies.REASONS`."""
    applies: Callable[[str], bool]
    example: str
    unless: tuple[str, ...] = ()
    """As a Strip's."""


@dataclass(frozen=True)
class Rules:
    """One language's rules, each kind in the order in which they are applied."""

    language: str
    version: int
    """Raised when a rule changes; Japanese: `replies.VERSION` is."""
    outer: tuple[Strip, ...]
    """What is around all lines of a reply, also where it holds several texts."""
    inner: tuple[Strip, ...]
    """What is right around a text: headings, list markers, quotes."""
    refusals: tuple[Refuse, ...]
    ends: tuple[str, ...]
    """What a line ends with that is a whole candidate."""
    label_line: str
    """A line that announces a label; `{names}` are the task's."""
    numbered_heading: re.Pattern[str]
    """The heading of one candidate of several: 'Example 2:'."""


def substitute(pattern: str, replacement: str = "", flags: int = 0) -> Callable[[str], str]:
    """A rule's `apply`: every match is replaced, and the text's ends are stripped."""
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.sub(replacement, text).strip()


def holds(pattern: str, flags: int = 0) -> Callable[[str], bool]:
    """A rule's `applies`: whether the pattern occurs."""
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.search(text) is not None


def without_first_line(pattern: str, flags: int = 0) -> Callable[[str], str]:
    """A rule's `apply`: the first line goes where the pattern matches all of it and more follows."""
    compiled = re.compile(pattern, flags)

    def apply(text: str) -> str:
        first, _, rest = text.partition("\n")
        return rest.strip() if rest.strip() and compiled.fullmatch(first.strip().strip("*").strip()) else text

    return apply


def without_last_line(pattern: str, flags: int = 0) -> Callable[[str], str]:
    """A rule's `apply`: the last line goes where the pattern occurs in it and more precedes."""
    compiled = re.compile(pattern, flags)

    def apply(text: str) -> str:
        rest, _, last = text.rpartition("\n")
        return rest.strip() if rest.strip() and compiled.search(last.strip().strip("*").strip()) else text

    return apply


def _composed(text: str) -> str:
    return _KANA_AND_MARK.sub(lambda found: unicodedata.normalize("NFC", found[0]), text)


_KANA_AND_MARK = re.compile(r"[\u3041-\u30ff][\u3099\u309a]")
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#39|#x27);")
_UNSEEN = "\u00ad\u200b\u200e\u200f\u2060\ufeff\u202a-\u202e\u2066-\u2069\x00-\x08\x0e-\x1b\x7f"
_BOLD = r"(?<!\*)(\*{2,4})(?![\s*])([^*\n]{1,400}?)(?<!\s)\1(?!\*)|(?<![A-Za-z0-9_])__(?![\s_])([^_\n]{1,400}?)(?<!\s)__(?![A-Za-z0-9_])"
_ITALIC = r"\A\*(?![\s*])([^*\n]+)(?<!\s)\*\Z|\A_(?![\s_])([^_\n]+)(?<!\s)_\Z"

FIRST_STRIPS = (
    Strip("invisible character", substitute(rf"[{_UNSEEN}]|(?<=[\u3041-\u9fff])\u200d"), ("犬が\u200b走る。", "犬が走る。")),
    Strip("combining mark", _composed, ("か\u3099る", "がる")),
    Strip("special token", without_special_tokens, ("犬が走る。<|im_end|>", "犬が走る。")),
    Strip("literal line break", substitute(r"\\[nrt](?![a-z])", "\n"), ("軽いです。\\n安いです。", "軽いです。\n安いです。")),
)
"""What never belongs to a text."""
WRAPPERS = (
    Strip("HTML", lambda text: unescape(text) if _ENTITY.search(text) else text, ("犬&amp;猫", "犬&猫")),
    Strip("code fence", outside_fence, ("```\n犬が走る。\n```", "犬が走る。")),
    Strip("JSON", json_text, ('{"sentence": "犬が走る。"}', "犬が走る。")),
    Strip("tag", outside_tags, ("<output>犬が走る。</output>", "犬が走る。")),
    Strip("emphasis", substitute(rf"{_BOLD}|{_ITALIC}", r"\2\3\4\5"), ("**犬**が走る。", "犬が走る。")),
    Strip(
        "Markdown line",
        substitute(r"^[ \t]*(?:#{1,6}[ \t\u3000]+|>[ \t]+|(?:-{3,}|\*{3,}|={3,}|_{3,})[ \t]*$)", flags=re.M),
        ("# 見出し\n---\n本文です。", "見出し\n\n本文です。"),
    ),
)
"""What formats a text."""
INNER_STRIPS = (
    Strip("list marker", substitute(rf"\A(?:\s*{MARKED}\s*)++(?=\S)"), ("1. 犬が走る。", "犬が走る。")),
    Strip("quotes", outside_quotes, ("「犬が走る。」", "犬が走る。")),
)
"""What stands right around a text."""


def _loops(text: str) -> bool:
    """Whether half of the text or more is one unit five times or more in a row."""
    found = _REPEATED.search(text)
    return found is not None and len(set(found[1])) > 1 and len(found[0]) >= max(15, len(text) / 2)


_REPEATED = re.compile(r"(.{2,20}?)\1{4,}")
_TAG = r"</?[a-z][\w-]{0,15}(?:\s[^<>]{0,80})?/?>"
LAST_REFUSALS = (
    Refuse(
        "code, JSON or tags",
        "markup",
        holds(rf"```|\A[\[{{]\s*[\[{{]?\s*[\"'][^\"'\n]{{1,40}}[\"']\s*[:,\]]|{_TAG}"),
        '{"a": "犬。", "b": "猫。"}',
    ),
    Refuse("one unit again and again", "loops", _loops, "太郎が太郎が太郎が太郎が太郎が太郎が"),
    Refuse("a character that could not be decoded", "loops", holds("\ufffd|<unk>"), "犬が\ufffd走る。"),
)
"""Applied to what is left of a reply."""
