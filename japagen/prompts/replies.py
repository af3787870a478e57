"""One raw reply of an LLM -> a clean text, or the reason why it is none.

Only what a reply says by itself is judged here; what depends on other rows (duplicates, copied exemplars,
contamination) is `japagen.curation`'s. Pure: the same reply is always judged the same.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from japagen.prompts import identification
from japagen.prompts.reply_rules import JAPANESE, MARKER, Rules, rules_of
from japagen.tasks import Task


@dataclass(frozen=True)
class Reject:
    """Why a reply became no text; `reason` is one of REASONS."""

    reason: str


REASONS = {
    "error": "the request failed for good",
    "truncated": "the reply reached max_tokens",
    "all thinking": "the reply was thinking to its end: raise llm.sampling.max_tokens, or switch the LLM's thinking off",
    "filtered": "the provider's content filter withheld or cut it",
    "tool call": "the LLM called a tool instead of writing",
    "not listed": "the reply held no list, or a shorter one than was asked for (synthesis.verbalized)",
    "empty": "nothing, or nothing but punctuation",
    "refusal": "the LLM declines or speaks of itself",
    "preamble": "chat before or around the text",
    "several candidates": "more than one text",
    "names its label": "gives the label away",
    "wrong language": "not the task's language",
    "too short": "under the task's min_chars",
    "too long": "over the task's max_chars",
    "first sentence": "the pair's first sentence was rejected",
    "repeats first sentence": "the second sentence is the first again",
    "first sentence repeated": "its first sentence was used often enough (curate.max_same_first)",
    "copies an exemplar": "a text of the prompt again",
    "duplicate": "accepted before for this label",
    "near duplicate": "nearly the same was accepted before for this label (curate.near_duplicates)",
    "judged otherwise": "the judge finds its label too improbable (curate.judging=drop)",
    "not judged": "the judge gave no usable answer",
    "less probable": "others of its label are more probable (curate.keep_likeliest)",
    "no answer": "annotation: the LLM's reply names no label",
    "contamination": "matches an evaluation text",
    "two labels": "the same text was accepted for another label too, so neither row says which is right",
}
"""Every reason for which a row is dropped, and what it means."""
QUOTES_GOLD = ("contamination", "copies an exemplar", "first sentence")
"""Reasons whose rejected text is, or may be, a gold text, and is therefore never shown."""

VERSION = 1
"""Enters the keys of data sets; raised when a rule of this module, or a Japanese one of `reply_rules`, changes."""

UNFINISHED = {
    "error": "error",
    "length": "truncated",
    "unlisted": "not listed",
    "thinking": "all thinking",
    "filtered": "filtered",
    "declined": "refusal",
    "tool call": "tool call",
}
"""finish_reason -> the reason that it gives. Rows that were stored before the client told servers' words apart have none of the last four,
so these change no older stream."""
_QUOTES = {"「": "」", "『": "』", '"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "【": "】"}
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u30fc]+")
_KANJI = re.compile(r"[\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_WORD = re.compile(r"[^\W\d_\u3041-\u30ff\u3005\u3400-\u9fff\uf900-\ufaff]+")
"""A run of letters that are neither kana nor kanji: one foreign word."""
SIMPLIFIED_ONLY = frozenset(
    "们这说时为对过还样给让电东书马问间见长门开关头买卖读话语请谁乐谢吗车鸟鱼钱银铁铜钟错难题颜风飞饭馆两发实应该觉现岁妈"
)
"""Characters that simplified Chinese writes and Japanese doesn't."""
_CHINESE = re.compile(
    r"[你您妳她們這吗嗎呢吧啊很沒没找哪怎麼么誰说說]|我(?![慢々が])|(?<![終完修満読魅])了(?![解承見])|是(?![正非認])|(?<![不旦])也|那(?![覇珂須])"
    r"|[他我]的|的(?:時候|时候|人|是)|不(?:是|會|能够|要)|一[個位隻]|正在|並且|非常好|已經|可以|因為|所以"
    r"|[學國會來對體發當點實氣圖廣樣歡讀寫賣聽樂藝醫號從裡].*[學國會來對體發當點實氣圖廣樣歡讀寫賣聽樂藝醫號從裡]"
)
"""Words of Chinese grammar, or two traditional forms: hardly ever in a Japanese text without kana."""
_LONG_WITHOUT_KANA = 40
_ENDLESS = 100_000
"""Characters from which a reply is too long whatever it holds: to take a million list markers off takes seconds."""


def normalise(text: str) -> str:
    """NFKC, spaces folded: the form in which texts are compared."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def clean_reply(task: Task, text: str, finish_reason: str) -> str | Reject:
    """The reply's text without wrappers, or the first reason against it."""
    if finish_reason in UNFINISHED:
        return Reject(UNFINISHED[finish_reason])
    stripped = text.strip()
    if len(stripped) > _ENDLESS:
        return Reject("too long")
    if not any(character.isalnum() for character in stripped):
        return Reject("empty")
    rules = rules_of(task.language)
    if (chat := _chat(stripped, rules)) is not None:
        return chat
    if _has_several_candidates(stripped, task.several_lines, rules):
        return Reject("several candidates")
    cleaned = strip_wrappers(stripped, rules)
    chat = _chat(cleaned, rules) if rules is not JAPANESE else None  # what stood behind a marker or in quotes
    return chat or _judge_cleaned(task, cleaned) or cleaned


def _chat(text: str, rules: Rules) -> Reject | None:
    if rules.refusal.search(text):
        return Reject("refusal")
    return Reject("preamble") if rules.preamble.search(text) or rules.commentary.search(text) else None


def language_identity(task: Task) -> dict[str, Any]:
    """What decides how replies in the task's language are read; nothing where the rules are the Japanese ones, which VERSION counts."""
    rules = rules_of(task.language)
    return {} if rules is JAPANESE else {"rules": [rules.language, rules.version], "identifier": identification.identity()}


def strip_wrappers(text: str, rules: Rules = JAPANESE) -> str:
    """Without a list marker, a heading such as '文:' and quotes around the whole."""
    previous = None
    while text != previous:
        previous = text
        opening = rules.opening.match(text)
        text = text[opening.end() if opening else 0 :].strip()
        closing = _QUOTES.get(text[:1])
        if closing and len(text) > 2 and text.endswith(closing) and closing not in text[1:-1]:
            text = text[1:-1].strip()
    return " ".join(text.split())


def _has_several_candidates(text: str, several_lines: bool, rules: Rules) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    if rules is not JAPANESE:
        lines = [line for line in lines if any(map(str.isalnum, line))]
    if len(lines) < 2:
        return False
    marked = sum(bool(MARKER.match(line)) for line in lines)
    return marked >= 2 or (not several_lines and all(line.rstrip().endswith(rules.ends) for line in lines))


def _judge_cleaned(task: Task, text: str) -> Reject | None:
    if not any(character.isalnum() for character in text):
        return Reject("empty")
    if _names_label(task, text):
        return Reject("names its label")
    if not _is_in_language(text, task.language):
        return Reject("wrong language")
    if len(text) < task.min_chars:
        return Reject("too short")
    if len(text) > task.max_chars:
        return Reject("too long")
    return None


def _is_in_language(text: str, language: str) -> bool:
    if language == "ja":
        return is_japanese(text)
    return not language or not identification.is_other_language(text, language)


def _names_label(task: Task, text: str) -> bool:
    words = tuple(label.word for label in task.labels)
    return bool(_label_pattern(words, tuple(task.label_names), rules_of(task.language).label_line).search(text))


@lru_cache
def _label_pattern(words: tuple[str, ...], names: tuple[str, ...], label_line: str) -> re.Pattern[str]:
    """A label's word or name at the start or end, set off by a colon, brackets or nothing else."""
    named = [re.escape(name) for name in (*words, *names) if len(name) > 1]
    if not named:
        return re.compile(r"(?!)")
    any_name = "|".join(sorted(named, key=len, reverse=True))
    return re.compile(label_line.format(names=any_name), re.I)


def is_japanese(text: str) -> bool:
    """Mostly kana and kanji, and not Chinese.

    A run of Latin letters counts as one word, and two words as one Japanese character, so product names do no harm. Headlines in kanji
    alone pass; a text without kana is refused when it holds Chinese grammar or is long. Half-width kana are kana.
    """
    text = unicodedata.normalize("NFKC", text)
    kanji, num_kana = "".join(_KANJI.findall(text)), sum(map(len, _KANA.findall(text)))
    num_japanese = len(kanji) + num_kana
    if num_japanese == 0 or 2 * num_japanese < len(_WORD.findall(text)):
        return False
    if not all(map(_is_japanese_kanji, kanji)):
        return False
    return num_kana > 0 or (len(kanji) <= _LONG_WITHOUT_KANA and not _CHINESE.search(text))


@lru_cache(maxsize=20_000)
def _is_japanese_kanji(character: str) -> bool:
    """Whether JIS X 0213 or CP932 holds the character, as they do all that Japanese texts are likely to write, and Japanese writes it."""
    return character not in SIMPLIFIED_ONLY and any(character.encode(encoding, errors="ignore") for encoding in ("euc_jis_2004", "cp932"))
