"""One raw reply of an LLM -> a clean text, or the reason why it is none.

Only what a reply says by itself is judged here; what depends on other rows (duplicates, copied exemplars,
contamination) is `japagen.curation`'s. Pure: the same reply is always judged the same.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from japagen.tasks import Task


@dataclass(frozen=True)
class Reject:
    """Why a reply became no text; `reason` is one of REASONS."""

    reason: str


REASONS = {
    "error": "the request failed for good",
    "truncated": "the reply reached max_tokens",
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
    "duplicate": "accepted before",
    "contamination": "matches an evaluation text",
}
"""Every reason for which a row is dropped, and what it means."""

_QUOTES = {"「": "」", "『": "』", '"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "【": "】"}
_MARKER = re.compile(r"^\s*(?:[-*・●○•–]\s*|[(（]?\d{1,2}[.)）．、:：]\s*)")
_HEADING_WORDS = (
    "例文?|文章?|回答|出力|本文|説明文?|前提(?:の?文)?|仮説(?:の?文)?|文[12１２]|sentence ?[12]?|output|premise|hypothesis|text"
)
_HEADING = re.compile(rf"^\s*(?:{_HEADING_WORDS})\s*[:：]\s*", re.I)
_PREAMBLE = re.compile(
    r"^(?:はい[、。,!！]|承知|かしこまり|了解し|もちろん(?:です|、)|以下(?:に|の|は|が)|こちら(?:が|は|に).{0,12}(?:例|文)"
    r"|それでは、?(?:以下|文)|sure\b|certainly\b|of course\b|here(?:'s| is| are)\b)",
    re.I,
)
_COMMENTARY = re.compile(
    r"いかがでしょうか[。？?]?$|ご(?:確認|参考)(?:ください|になさって)|お役に立て|この文は.{0,20}(?:関係|類似度|ラベル|容認)|[(（](?:注|※)"
)
_REFUSAL = re.compile(
    r"^(?:申し訳(?:ありません|ございません|ない)|すみません|恐れ入ります|ごめんなさい)"
    r".{0,40}(?:でき(?:ません|かね|ない)|お答え|お手伝い|対応|提供|作成)"
    r"|(?:AI|人工知能|言語モデル)(?:アシスタント)?(?:として|なので|である(?:ため|私))|\bas an ai\b|\blanguage model\b"
    r"|^i(?:'m| am) sorry\b|^i (?:can(?:no|')t|am unable)\b",
    re.I,
)
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u30fc\uff66-\uff9d]")
_JAPANESE = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u30fc\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d]")
SIMPLIFIED_ONLY = frozenset(
    "们这说时为对过还样给让电东书马问间见长门开关头买卖读话语请谁乐谢吗车鸟鱼钱银铁铜钟错难题颜风飞饭馆两发实应该觉现岁妈"
)
"""Characters that simplified Chinese writes and Japanese doesn't."""
_LONG_WITHOUT_KANA = 15


def normalise(text: str) -> str:
    """NFKC, spaces folded: the form in which texts are compared."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def clean_reply(task: Task, text: str, finish_reason: str) -> str | Reject:
    """The reply's text without wrappers, or the first reason against it."""
    if finish_reason == "error":
        return Reject("error")
    if finish_reason == "length":
        return Reject("truncated")
    stripped = text.strip()
    if not any(character.isalnum() for character in stripped):
        return Reject("empty")
    if _REFUSAL.search(stripped):
        return Reject("refusal")
    if _PREAMBLE.search(stripped) or _COMMENTARY.search(stripped):
        return Reject("preamble")
    if _has_several_candidates(stripped):
        return Reject("several candidates")
    cleaned = strip_wrappers(stripped)
    return _judge_cleaned(task, cleaned) or cleaned


def strip_wrappers(text: str) -> str:
    """Without a list marker, a heading such as '文:' and quotes around the whole."""
    previous = None
    while text != previous:
        previous = text
        text = _HEADING.sub("", _MARKER.sub("", text)).strip()
        closing = _QUOTES.get(text[:1])
        if closing and len(text) > 2 and text.endswith(closing) and closing not in text[1:-1]:
            text = text[1:-1].strip()
    return " ".join(text.split())


def _has_several_candidates(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return False
    marked = sum(bool(_MARKER.match(line)) for line in lines)
    return marked >= 2 or all(line.rstrip().endswith(("。", "」", ".", "！", "？", "!", "?")) for line in lines)


def _judge_cleaned(task: Task, text: str) -> Reject | None:
    if not any(character.isalnum() for character in text):
        return Reject("empty")
    if _names_label(task, text):
        return Reject("names its label")
    if task.language == "ja" and not is_japanese(text):
        return Reject("wrong language")
    if len(text) < task.min_chars:
        return Reject("too short")
    if len(text) > task.max_chars:
        return Reject("too long")
    return None


def _names_label(task: Task, text: str) -> bool:
    words = tuple(label.word for label in task.labels)
    return bool(_label_pattern(words, tuple(task.label_names)).search(text))


@lru_cache
def _label_pattern(words: tuple[str, ...], names: tuple[str, ...]) -> re.Pattern[str]:
    """A label's word or name at the start or end, set off by a colon, brackets or nothing else."""
    named = [re.escape(name) for name in (*words, *names) if len(name) > 1]
    if not named:
        return re.compile(r"(?!)")
    any_name = "|".join(sorted(named, key=len, reverse=True))
    return re.compile(rf"^(?:{any_name})\s*(?:[:：\-]|$)|[(（\[【<](?:ラベル[:：]?)?\s*(?:{any_name})\s*[)）\]】>]|ラベル\s*[:：]", re.I)


def is_japanese(text: str) -> bool:
    """Mostly kana and kanji, and not Chinese: no simplified-only character, no long text without kana."""
    letters = [character for character in text if character.isalpha()]
    japanese = _JAPANESE.findall(text)
    if not letters or len(japanese) < 0.5 * len(letters):
        return False
    if any(character in SIMPLIFIED_ONLY for character in text):
        return False
    return len(japanese) < _LONG_WITHOUT_KANA or bool(_KANA.search(text))
