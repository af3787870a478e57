"""A written answer -> the number it gives, or the labels it names without negating them.

Pure functions over text. Rules for Japanese know English too, as LLMs answer in either; a task in another language has English rules,
which read more of English than the former. Whatever is ambiguous is read as nothing: two numbers, a range, a negative number, a
fraction of another maximum than the scale's, a label that is only negated. Thinking is removed first, because it names labels that the
answer does not.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from japagen.prompts.replies import normalise

VERSION = 2
"""Enters the keys of what written answers become; raised when a rule of this module changes, English ones apart."""
ENGLISH_VERSION = 2
"""The same of rules for tasks that are not Japanese."""

_LONGEST = 10_000
"""Characters above which a text after the thinking is no answer; patterns may look at each of them several times."""
_TAGS = "think|thinking|thought|reasoning|reflection|scratchpad"
_THINKING_OPENS = re.compile(rf"<(?:{_TAGS})>|\[think\]", re.I)
_THINKING_CLOSES = re.compile(rf"</(?:{_TAGS})>|\[/think\]", re.I)
_LAST_CHANNEL = "<|message|>"
"""What precedes the text of each channel of a gpt-oss reply; the last channel is the answer."""
_SPECIAL_TOKEN = re.compile(r"<\|[^<>|]{1,40}\|>|</?s>|<(?:end|start)_of_turn>|<(?:eos|bos|pad)>")
_ANNOUNCEMENT = re.compile(r"(?:答え|回答|解答|結論|判定|ラベル|類似度|スコア|点数|\banswer|\blabel|\bscore)[^\S\n]*(?:は|[:：=])", re.I)
"""What comes before the answer proper, as in 「理由は…。答え：3」."""
_BRACKETS = " \t\n\u3000「」『』“”‘’\"'`*_#【】[]()（）〈〉<>・:："
_STOPS = "。．.、,，!！"

_REFERENCE = re.compile(r"(?:文章?|前提|仮説|sentence|text) ?[12](?![\d.]*\d)|[12二](?:つの|つ目|文目|番目|文(?=[のはが]))", re.I)
"""Names of the two texts, whose numbers are no answer."""
_MAXIMUM = re.compile(r"(?<!\d)(\d+(?:\.\d+)?) ?(?:点満点|点(?=中)|段階(?:評価|尺度)?)(?:の?(?:うち|中)|では?|の)?、?")
_FRACTION = re.compile(r"(?<!\d)(\d+(?:\.\d+)?) ?点? ?(?:/|out of|of) ?(\d+(?:\.\d+)?)(?![\d.]*\d)")
_FRACTION_SPELT = re.compile(r"(?<!\d)(\d+) ?分の ?(\d+(?:\.\d+)?)")
_NO_VALUE = re.compile(r"マイナス ?\d|[-−–‐‑]\d|[-−–‐‑]\.\d|\d ?(?:%|パーセント|割|以上|以下|以内|未満|超|より)")
"""A negative number, a share or a bound."""
_NUMBER = re.compile(r"(?<![A-Za-z\d.,])(?:\d+(?:\.\d+)?|\.\d+)(?!\d|[.,]\d|e\d)", re.I)
_KANJI_DIGITS = "〇一二三四五六七八九"
_KANJI_NUMBER = re.compile(rf"([{_KANJI_DIGITS}零])点?(?:です|である)?")
_KANJI_SCALE = re.compile(rf"[{_KANJI_DIGITS}](?:点満点|点中|段階)")
_KANJI_BEFORE_POINTS = re.compile(rf"[{_KANJI_DIGITS}](?=点|段階)")
"""Points in kanji (「五点満点中三点」) are numbers beside a stated maximum only: 「一点だけ異なる」 states none."""

_JOINED = r"(?:(?:でも|とも|にも|も|や|と|か|または|あるいは|・|/|、) ?\0)*"
"""Further labels under one negation, as in 「含意でも矛盾でもない」."""
_CLOSERS = r"[」』”’\"'*_`)）】\]]*"
_NO_NEGATION = "です|ます|だが|だけど|けれど|から|ので|のに|かも|しか|ざる|ちがい|ほかなら"
"""What ends the reach of a label, or makes an affirmation with ない."""
_NEGATED_AFTER = re.compile(
    rf"{_CLOSERS}{_JOINED}{_CLOSERS}"
    rf"(?:(?!{_NO_NEGATION})[ぁ-ん関係言思考見認含当該限切断定判的内容評価点箇所部分存在要素意味文章投稿成立確証生起ァ-ヶー]){{0,14}}?"
    r"(?:ない|なく|なし|無い|無く|ません|おらず|せず|にくい|難い|がたい)"
    rf"|{_CLOSERS}[ぁ-ん]{{0,4}}?か(?:どうか|否か|は?(?:わから|分から|不明|判断))"
    r"|\W*(?:is|are|does|do|can|would|should)(?: not|n't)\b"
)
_NEGATED_BEFORE = re.compile(
    r"(?:[非無不未]|(?:\bnot|n't|\bno|\bnon-?|\bneither|\bnor|\bnever|\brather than|\binstead of|\bcannot)"
    r"(?: (?:be|a|an|the|really|very|necessarily|clearly|entirely))* ?[\"'「『*(]*)$"
)
_REACH_BEFORE = 40


@dataclass(frozen=True)
class _Rules:
    """What differs by the task's language."""

    announcement: re.Pattern[str]
    negated_before: re.Pattern[str]
    """Ends where a negated label begins."""
    negated_after: re.Pattern[str]
    """Begins where a negated label ends."""
    is_english: bool = False


_JAPANESE = _Rules(_ANNOUNCEMENT, _NEGATED_BEFORE, _NEGATED_AFTER)
_WORD = r"(?!(?:but|only|doubt|sure|because|since|as|so|if)\b)[a-z][a-z'-]*"
_ENGLISH = _Rules(
    announcement=re.compile(
        r"\b(?:answer|label|class|category|sentiment|intent|score|rating|verdict)(?:\W{0,3}(?:is|would be|should be)\b|\s*[:=])", re.I
    ),
    negated_before=re.compile(
        rf"(?:(?:\bnot|n't|\bcannot|\bnever|\bneither|\bnor|\bhardly|\bbarely|\bscarcely)(?: {_WORD}){{0,3}}"
        r"|\b(?:no|non|nothing|rather than|instead of|far from|anything but|unlikely(?: to be)?|without(?: being)?|lack(?:s|ing)?"
        r"|no (?:sign|hint|trace|indication|mention)s? of)(?: (?:a|an|the|any|really|very|clearly|entirely))*)"
        r"[ -]?[\"'(*_]*(?:\0[\"')*_]*,? ?(?:or|nor|and|/|,) ?[\"'(*_]*)*$"
    ),
    negated_after=re.compile(
        r"[\"')*_\]]*(?:,? ?(?:or|nor|and|/|,) ?[\"'(*_]*\0[\"')*_]*)*"
        r" (?:(?:label|class|category|one) )?(?:(?:is|are|does|do|can|would|should|could|seems?|was)(?: not|n't)\b(?! only)"
        r"|cannot\b"
        r"|(?:is|are|would be|seems?|can be) (?:\w+ )?(?:wrong|incorrect|unlikely|ruled out|excluded|inappropriate|out of the question))"
    ),
    is_english=True,
)
_SPELT = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SPELT_NUMBER = re.compile(rf"({'|'.join(_SPELT)})(?: (?:points?|stars?))?", re.I)
_SPELT_FRACTION = re.compile(rf"\b({'|'.join(_SPELT)})(?= out of\b)|(?<=out of )({'|'.join(_SPELT)})\b", re.I)
_SCALE = re.compile(r"\b(?:scale|range) (?:of |from |between )?\d+(?:\.\d+)? ?(?:to|and|-|–) ?\d+(?:\.\d+)?", re.I)
_BOUND = re.compile(
    r"\b(?:at least|at most|more than|less than|over|under|above|below|up to|fewer than|greater than|not) \d"
    r"|\d ?(?:\+|or (?:more|less|higher|lower|above|below)\b|percent\b)",
    re.I,
)
"""English words that make a number no value: a bound, a share, a negation."""


def _rules_of(language: str) -> _Rules:
    return _JAPANESE if language in ("ja", "") else _ENGLISH


def language_identity(language: str) -> dict[str, list[str | int]]:
    """What enters keys beside VERSION; nothing where the rules are the Japanese ones."""
    return {"readings_language": ["en", ENGLISH_VERSION]} if _rules_of(language).is_english else {}


def without_thinking(reply: str) -> str:
    """The reply without thinking and special tokens; '' where the thinking never ends.

    A closing tag alone counts too: chat templates may write the opening one into the prompt.
    """
    reply = reply.rpartition(_LAST_CHANNEL)[2]
    closings = list(_THINKING_CLOSES.finditer(reply))
    after = reply[closings[-1].end() :] if closings else reply
    answer = _THINKING_OPENS.split(after, maxsplit=1)[0]
    if closings and not answer.strip():  # the answer came first
        answer = _THINKING_OPENS.split(reply, maxsplit=1)[0] if _THINKING_OPENS.search(reply) else ""
    return _SPECIAL_TOKEN.sub(" ", answer)


def read_number(reply: str, low: float, high: float, language: str = "ja") -> float | None:
    """The one number between `low` and `high` that the reply gives; None for none, several, or one outside."""
    rules = _rules_of(language)
    for text in _by_announcement(without_thinking(reply), rules):
        numbers = _numbers(normalise(text), high, rules)
        if numbers is not None and len(numbers) == 1:
            (number,) = numbers
            return number if low <= number <= high else None
    return None


def read_labels(reply: str, words: Mapping[str, str], names: Iterable[str] = (), language: str = "ja") -> set[str]:
    """The labels that the reply names and does not negate.

    `words`: how the reply may name a label -> the label. `names`: labels that the question does not show; a number
    among them counts only where it is the whole reply, since it may be a list marker otherwise. `language`: the task's.
    """
    lexicon, rules = _Lexicon.of(words, names), _rules_of(language)
    for text in _by_announcement(without_thinking(reply), rules):
        lines = {label for line in text.splitlines() if (label := lexicon.whole(line)) is not None}
        found = lines if len(lines) == 1 else lexicon.named(normalise(text), rules)
        if len(found) == 1:
            return found
    return found


def _undecorated(text: str) -> str:
    """The text without quotes, brackets, emphasis, a dash in front and stops behind; a sign or point before a number stays."""
    return re.sub(r"^[-–] ", "", text).lstrip(_BRACKETS).rstrip(_BRACKETS + _STOPS)


def _by_announcement(answer: str, rules: _Rules) -> Iterator[str]:
    """What follows the last announcement of the answer, where there is one; then the whole; '' for a text too long to be an answer."""
    if len(answer) > _LONGEST:
        yield ""
        return
    if rules.is_english:
        answer = answer.replace("’", "'")
    announcements = list(rules.announcement.finditer(answer))
    if announcements:
        yield answer[announcements[-1].end() :]
    yield answer


def _numbers(text: str, high: float, rules: _Rules) -> set[float] | None:
    """The different numbers of a normalised text, parts of the scale's maximum resolved; None: it holds a value that cannot be meant."""
    if rules.is_english:
        if spelt := _SPELT_NUMBER.fullmatch(_undecorated(text)):
            return {float(_SPELT.index(spelt[1].lower()))}
        text = _SPELT_FRACTION.sub(lambda found: str(_SPELT.index(found[0].lower())), _SCALE.sub(" ", text))
        if _BOUND.search(text):
            return None
    if spelt := _KANJI_NUMBER.fullmatch(_undecorated(text)):
        return {float(max(0, _KANJI_DIGITS.find(spelt[1])))}
    if _KANJI_SCALE.search(text):
        text = _KANJI_BEFORE_POINTS.sub(lambda found: str(_KANJI_DIGITS.index(found[0])), text)
    text = _REFERENCE.sub(" ", text)
    maxima = [float(number) for number in _MAXIMUM.findall(text)]
    text = _MAXIMUM.sub(" ", text)
    maxima += [float(of) for _, of in _FRACTION.findall(text)] + [float(of) for of, _ in _FRACTION_SPELT.findall(text)]
    text = _FRACTION_SPELT.sub(r" \2 ", _FRACTION.sub(r" \1 ", text))
    if _NO_VALUE.search(text) or any(maximum != high for maximum in maxima):
        return None
    affirmed = [number for number in _NUMBER.finditer(text) if not rules.negated_after.match(text, number.end())]
    return {float(number[0]) for number in affirmed}


class _Lexicon:
    """A task's label words, ready to be looked for."""

    def __init__(self, words: dict[str, str], names: tuple[str, ...]) -> None:
        folded = {fold(word) for word in words}
        self._fold = fold if len(folded) == len(words) else str
        self._words = {self._fold(word): label for word, label in words.items()}
        self._whole = {self._fold(name): name for name in names} | self._words
        self._numeric = {number: label for word, label in words.items() if (number := _as_number(word)) is not None}
        self._numeric_whole = {number: name for name in names if (number := _as_number(name)) is not None} | self._numeric
        sought = sorted((word for word in self._whole if word.strip() and _as_number(word) is None), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_bounded, sought)) or r"(?!)")

    @staticmethod
    def of(words: Mapping[str, str], names: Iterable[str]) -> "_Lexicon":
        """The lexicon of these words, made once."""
        return _lexicon(tuple((normalise(word), label) for word, label in words.items()), tuple(map(normalise, names)))

    def whole(self, line: str) -> str | None:
        """The label that the line is, decoration aside."""
        text = self._fold(normalise(line))
        for form in (text, _undecorated(text)):
            if form in self._whole:
                return self._whole[form]
        number = _as_number(_undecorated(text))
        return None if number is None else self._numeric_whole.get(number)

    def named(self, text: str, rules: _Rules) -> set[str]:
        """The labels that a normalised text names and does not negate."""
        text = self._fold(text)
        mentions = list(self._pattern.finditer(text))
        masked = self._pattern.sub("\0", text)
        found, shift = set(), 0
        for mention in mentions:
            start = mention.start() - shift
            shift += len(mention[0]) - 1
            before = masked[max(0, start - _REACH_BEFORE) : start]
            if not rules.negated_after.match(masked, start + 1) and not rules.negated_before.search(before):
                found.add(self._whole[mention[0]])
        if not self._numeric:
            return found
        numbers = _numbers(masked, max(self._numeric), rules)
        return found | {self._numeric.get(number, "") for number in numbers or ()}


@lru_cache
def _lexicon(words: tuple[tuple[str, str], ...], names: tuple[str, ...]) -> _Lexicon:
    return _Lexicon(dict(words), names)


def fold(text: str) -> str:
    """Lower case, in which labels are compared unless two of them differ in case only."""
    return text.casefold()


def _bounded(word: str) -> str:
    """A pattern of the word; Latin letters and digits at its ends do not run on."""
    before = r"(?<![a-z0-9_])" if re.match(r"[a-z0-9_]", word, re.I) else ""
    after = r"(?![a-z0-9_])" if re.search(r"[a-z0-9_]$", word, re.I) else ""
    return f"{before}{re.escape(word)}{after}"


def _as_number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[-+]?(?:\d+\.?\d*|\.\d+)", text) and len(text) < 20 else None
