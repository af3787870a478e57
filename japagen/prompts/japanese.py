"""Whether a text is Japanese: the language filter of Japanese tasks. Other languages are identified by a library (`identification`)."""

import re
import unicodedata
from functools import lru_cache

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
_FOREIGN = re.compile(r"[\u1100-\u11ff\uac00-\ud7af\u0e01-\u0e2f\u0620-\u064a\u0900-\u097f]|[\u3131-\u318e]{3}")
"""Hangul, Thai, Arabic and Devanagari letters; of single Korean letters, which faces are made of, three in a row."""
_FEW_LETTERS = re.compile(r"[\u0370-\u03ff\u0400-\u052f]")
_MOST_FEW_LETTERS = 2
"""Different Greek and Cyrillic letters that formulas and faces (´・ω・`) may hold."""
_LOWER_WORD = re.compile(r"(?<![A-Za-z])[a-z]{3,}(?![A-Za-z])")
_OTHER_FORMS = frozenset("塡剝頰𠮟鷗噓俠繫蔣醬麵攢煇萊壔頴騨潑顚囊搔瘦禱蟬蠟軀醱鹼麴屛摑簞嚙晴")
"""Forms beyond JIS X 0208 that are taught or printed widely."""


def is_japanese(text: str) -> bool:
    """Mostly kana and kanji, and not Chinese.

    A run of Latin letters counts as one word, and two words as one Japanese character, so product names do no harm; where two or more are
    plain words in lower case, each needs two Japanese characters beside it. Headlines in kanji alone pass; a text without kana is refused
    when it holds Chinese grammar or is long. Half-width kana are kana. Letters of other scripts and kanji that Japanese doesn't write
    refuse a text.
    """
    text = unicodedata.normalize("NFKC", text)
    if _FOREIGN.search(text) or len(set(_FEW_LETTERS.findall(text))) > _MOST_FEW_LETTERS:
        return False
    kanji, num_kana = "".join(_KANJI.findall(text)), sum(map(len, _KANA.findall(text)))
    num_japanese = len(kanji) + num_kana
    num_words = len(_WORD.findall(text))
    if num_japanese == 0 or 2 * num_japanese < num_words:
        return False
    if num_japanese < 2 * num_words and len(set(_LOWER_WORD.findall(text))) >= 2:
        return False
    if not all(map(_is_japanese_kanji, kanji)):
        return False
    return num_kana > 0 or (len(kanji) <= _LONG_WITHOUT_KANA and not _CHINESE.search(text))


@lru_cache(maxsize=20_000)
def _is_japanese_kanji(character: str) -> bool:
    """Whether JIS X 0208, or what CP932 adds to it for names, holds the character, and Japanese writes it."""
    return character not in SIMPLIFIED_ONLY and (character in _OTHER_FORMS or bool(character.encode("cp932", errors="ignore")))
