"""What LLMs put around a text: special tokens, code fences, JSON, tags, quotes. Each function returns the text without it.

All are pure, and return a text that holds no such thing unchanged.
"""

import ast
import json
import re
from typing import Any

_TOKEN = r"(?:<\|[^<>|\n]{1,40}\|>|</?s>|<(?:start|end)_of_turn>|<(?:bos|eos|pad)>|<turn\|>|<\|turn>|\[/?INST\])"
_LEADING = re.compile(rf"\A\s*(?:{_TOKEN}\s*(?:(?:assistant|model|user)(?=\s*(?:\n|{_TOKEN}))\s*)?|(?:assistant|model)[ \t]*\n\s*)+")
_NEXT_TURN = re.compile(rf"{_TOKEN}|\n(?:assistant|model|user)[ \t]*(?:\n|\Z)")
_CHANNEL = re.compile(r"\A\s*(?:assistant)?(?:final|commentary)(?=[A-Z\u3041-\u30ff\u3400-\u9fff「『\uff00-\uffef])")
"""The name of a harmony channel with its text right behind it, as a server leaves it that drops special tokens."""


def without_special_tokens(text: str) -> str:
    """The first turn that says anything, without tokens of a chat template and names of roles."""
    text = _CHANNEL.sub("", _LEADING.sub("", text))
    end = _NEXT_TURN.search(text)
    return text[: end.start()].strip() if end else text


_FENCE = re.compile(r"\A```[\w-]{0,20}[ \t]*\n|\n?[ \t]*```[ \t]*\Z")
_INLINE_FENCE = re.compile(r"\A```(?:[a-z]+[ \t])?([^`\n]+)```\Z")


def outside_fence(text: str) -> str:
    """The text without the line that opens a block of code and the one that closes it."""
    if "```" not in text:
        return text
    return _INLINE_FENCE.sub(r"\1", _FENCE.sub("", text)).strip()


_LOOKS_LIKE_JSON = re.compile(r"\A(?:[\[{]\s*[\[{\"']|\"[^\"\n]{1,30}\"\s*:)")
_LABEL_KEY = re.compile(r"label|score|class|category|sentiment|relation|id|number|類似度|ラベル|分類|関係|番号|極性|感情", re.I)
_MOST_JSON = 10_000


def json_text(text: str) -> str:
    """The only text that JSON (or a Python list or dict) holds, entries that name a label aside; of several or none, JSON stays."""
    if not _LOOKS_LIKE_JSON.match(text) or len(text) > _MOST_JSON:
        return text
    found = _texts(_parsed(text if text[0] in "[{" else "{" + text.rstrip("}, \n") + "}"))
    return found[0].strip() if len(found) == 1 else text


def _parsed(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, list):
        return [text for entry in value for text in _texts(entry)]
    if isinstance(value, dict):
        return [text for key, entry in value.items() if not _LABEL_KEY.fullmatch(str(key)) for text in _texts(entry)]
    return []


_RUBY = re.compile(r"<r[tp]>[^<>]{0,40}</r[tp]>|</?(?:ruby|rb)>")
_BREAK = re.compile(r"<br\s*/?>", re.I)
_HTML = re.compile(r"</?(?:b|i|u|em|strong|span|div|p|mark|q|h[1-6]|blockquote)(?:\s[^<>]{0,80})?>", re.I)
_NAME = r"[^\s<>/|!?=&;\d][^\s<>/|!?=&;]{0,19}"
_WHOLE = re.compile(rf"\A<({_NAME})(?:\s[^<>]{{0,80}})?>(.*)</\1>\Z", re.S)
_LAST_TAG = re.compile(r"</[^\s<>/|\d][^\s<>/|]{0,19}>\Z")
_FIRST_TAG = re.compile(r"\A<(?:output|answer|text|response|result|sentence|hypothesis|premise|caption|review|文|回答|出力|仮説)>", re.I)


def outside_tags(text: str) -> str:
    """The text without a tag around it, readings in ruby, and tags of HTML that format."""
    if "<" not in text:
        return text
    text = _HTML.sub("", _BREAK.sub("\n", _RUBY.sub("", text))).strip()
    if whole := _WHOLE.match(text):
        return whole[2].strip()
    return _FIRST_TAG.sub("", _LAST_TAG.sub("", text)).strip()


QUOTES = {"「": "」", "『": "』", '"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "【": "】", "`": "`"}
_UNPAIRED = {opening: closing for opening, closing in QUOTES.items() if opening in '「『"“«'}
"""An apostrophe is no quote, and 【 opens headlines that a text's end may cut."""


def _is_one_quotation(text: str, opening: str, closing: str) -> bool:
    """Whether the quote at the text's start is closed by the one at its end, and by none before."""
    inner = text[1:-1]
    if opening == closing:
        return closing not in inner
    depth = 0
    for character in inner:
        depth += (character == opening) - (character == closing)
        if depth < 0:
            return False
    return depth == 0


def outside_quotes(text: str) -> str:
    """The text without quotes around the whole, and without a quote at one end whose other half is missing."""
    opening, closing = text[:1], QUOTES.get(text[:1], "")
    if closing and len(text) > 2 and text.endswith(closing) and _is_one_quotation(text, opening, closing):
        return text[1:-1].strip()
    if opening in _UNPAIRED and len(text) > 1 and _UNPAIRED[opening] not in text[1:]:
        return text[1:].strip()
    for first, last in _UNPAIRED.items():
        if len(text) > 1 and text.endswith(last) and first not in text[:-1] and not text[-2].isdigit():
            return text[:-1].strip()
    return text
