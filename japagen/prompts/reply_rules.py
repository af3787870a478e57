"""The patterns by which replies are read, one table a language: list markers, headings, preambles, commentary, refusals, label lines.

Japanese serves ja and '' (whose keys hold `replies.VERSION`), English every other language, since LLMs that chat around a text they were
asked for in English do so in English.
"""

import re
from dataclasses import dataclass

_BULLET = r"[*•]|・(?!・)|[-–](?![-–\d])|●(?![●○◯×])|[○◯](?=\s|$)"
_NUMBERING = r"[(（]?\d{1,2}(?:[)）]|[.．](?!\d)|[、:：](?![\d〇一二三四五六七八九十]))"
MARKER = re.compile(rf"\s*(?:{_BULLET}|{_NUMBERING})\s*")
"""A list marker. A sign or stop right before a digit belongs to a number (「-5℃」, 「1.5リットル」, 「10:30に」, 「3、4人」), and a circle
before a letter stands for a name (「○○さん」)."""


@dataclass(frozen=True)
class Rules:
    """One language's patterns."""

    language: str
    version: int
    """Raised when a pattern changes; Japanese: `replies.VERSION` is."""
    opening: re.Pattern[str]
    """List markers and headings, as many as there are: taken off one by one, a megabyte of them would take minutes."""
    preamble: re.Pattern[str]
    commentary: re.Pattern[str]
    refusal: re.Pattern[str]
    ends: tuple[str, ...]
    """What a line ends with that is a whole candidate."""
    label_line: str
    """A line that announces a label; `{names}` are the task's."""


def _opening(headings: str, decoration: str = "") -> re.Pattern[str]:
    return re.compile(rf"(?:{MARKER.pattern}|\s*(?:{headings}){decoration}\s*[:：]{decoration}\s*)++", re.I)


JAPANESE = Rules(
    language="ja",
    version=1,
    opening=_opening(
        "例文?|文章?|回答|出力|本文|説明文?|前提(?:の?文)?|仮説(?:の?文)?|文[12１２]|sentence ?[12]?|output|premise|hypothesis|text"
    ),
    preamble=re.compile(
        r"^(?:はい[、。,!！]|承知|かしこまり|了解し|もちろん(?:です|、)|以下(?:に|の|は|が)|こちら(?:が|は|に).{0,12}(?:例|文)"
        r"|それでは、?(?:以下|文)|sure\b|certainly\b|of course\b|here(?:'s| is| are)\b)",
        re.I,
    ),
    commentary=re.compile(
        r"いかがでしょうか[。？?]?$|ご(?:確認|参考)(?:ください|になさって)|お役に立て|この文は.{0,20}(?:関係|類似度|ラベル|容認)|[(（](?:注|※)"
    ),
    refusal=re.compile(
        r"^(?:申し訳(?:ありません|ございません|ない)|すみません|恐れ入ります|ごめんなさい)"
        r".{0,40}(?:でき(?:ません|かね|ない)|お答え|お手伝い|対応|提供|作成)"
        r"|(?:AI|人工知能|言語モデル)(?:アシスタント)?(?:として|なので|である(?:ため|私))|\bas an ai\b|\blanguage model\b"
        r"|^i(?:'m| am) sorry\b|^i (?:can(?:no|')t|am unable)\b",
        re.I,
    ),
    ends=("。", "」", ".", "！", "？", "!", "?"),
    label_line=r"^(?:{names})\s*(?:[:：\-]|$)|[(（\[【<](?:ラベル[:：]?)?\s*(?:{names})\s*[)）\]】>]|ラベル\s*[:：]",
)

_MADE = (
    r"(?:examples?|samples?|texts?|sentences?|reviews?|messages?|quer(?:y|ies)|questions?|requests?|e-?mails?|tweets?|posts?|headlines?"
    r"|titles?|complaints?|comments?|premises?|hypothes[ei]s|responses?|outputs?|versions?|options?|answers?|repl(?:y|ies)|statements?)"
)
"""What an assistant is asked to write."""
_HERE = r"(?:here(?:['’]s| is| are))"
_OFFER = rf"(?:{_HERE}|i(?:['’]ll| will| can|['’]d be happy| would be happy|['’]m happy)|let me|let['’]s|below (?:is|are)|the following)"
_SOME = r"(?:an?|one|some|the|your|two|three|four|five|\d+)\s+(?:[\w'’-]+\s+){0,4}?"
_CANNOT = (
    r"i(?:['’]m| am)?(?: really| truly)? ?(?:sorry,? but i )?(?:can(?:no|['’])t|can not|could not|couldn['’]t|won['’]t|will not|unable to"
    r"|not able to|must decline to|have to decline to|(?:do not|don['’]t) feel comfortable|not comfortable)"
)
_THIS = r"(?:this|that|your|such)"
_HARM = r"(?:harmful|offensive|hateful|inappropriate|discriminatory|explicit|abusive|illegal|misleading|unethical|derogatory)"
ENGLISH = Rules(
    language="en",
    version=1,
    opening=_opening(
        r"(?:customer|user|sample|example|generated|second|first) (?:text|sentence|message|query|question|request|review|e-?mail)"
        r"|example ?\d{0,2}|text ?[12]?|sentence ?[12]?|output|answer|response|reply|message|premise|hypothesis|review|tweet|headline|query"
        r"|customer|user",
        r"\*{0,2}",
    ),
    preamble=re.compile(
        r"^(?:(?:sure|certainly|absolutely|of course|understood)(?: thing)?\s*(?:[!:]|[,.]?\s*\n)"
        r"|(?:sure|certainly|absolutely|of course|understood|okay|ok|got it|great|no problem)(?: thing)?"
        rf"(?:\s*[!:,.]?[ \t]*\n|[,.;:!–—-]*\s+{_OFFER}\b)"
        rf"|{_HERE}\s+{_SOME}{_MADE}\b(?!\s+(?:i|we|that i|that we|my|from my)\b)[^\n:]{{0,100}}:\s*(?:\n|[\"“‘'*])"
        rf"|{_HERE}\s+{_SOME}(?:examples?|samples?)\b[^\n]{{0,100}}:"
        rf"|(?:below|the following) (?:is|are) {_SOME}{_MADE}\b"
        rf"|(?:the|my|your) {_MADE} (?:is|are|reads|would be|could be|to be sent is|will be written as)\s*[:\"“]"
        r"|your task is to\b|you are asked to write\b)",
        re.I,
    ),
    commentary=re.compile(
        r"\blet me know if (?:you(?:['’]d| would) like (?:me to|another|more|any)"
        r"|you (?:need|want) (?:anything else|any (?:other|more|further)|more (?:examples|texts|sentences)|another))"
        r"|\bi hope (?:this|that|these) (?:helps|meets|works|fits)"
        r"|\bfeel free to (?:ask|modify|adjust|adapt|edit|use (?:this|it)|let me know)"
        r"|\bwould you like (?:me to|another|more examples)"
        r"|\b(?:this|the above|the) (?:text|sentence|message|example|review|query|statement|hypothesis|response)"
        r" (?:is (?:labell?ed|classified|an example of|a (?:good|clear) example|\d+ characters)"
        r"|expresses an?|reflects the|demonstrates|meets the|fits the|belongs to"
        r"|falls (?:under|into)|would be (?:labell?ed|classified))"
        r"|[(\[](?:please )?note\s*:|\n[ \t]*\**(?:please )?(?:note|explanation|reasoning|character count|characters|length)\**\s*:"
        r"|[(\[]\d+ (?:characters|chars|words)[)\]]",
        re.I,
    ),
    refusal=re.compile(
        r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
        r"|\bi(?:['’]m| am) (?:just |only )?(?:an? )?(?:ai\b|(?:large )?language model|virtual assistant|chatbot)"
        rf"|^(?:[^\n.!?]{{0,40}}[.!?,]? )?{_CANNOT}(?: to)?\s+(?:be able to )?(?:assist\b(?! (?:me|us)\b)"
        rf"|help (?:you )?with {_THIS}\b"
        rf"|(?:fulfil+|comply with|carry out|respond to|engage (?:in|with)) (?:{_THIS}|the)\b"
        rf"|(?:answer|complete|process|do) {_THIS} (?:[\w-]+ )?(?:request|task|prompt|instruction|question)s?\b"
        r"|(?:provide|generat\w+|creat\w+|produc\w+|writ\w+|give|offer) (?:you )?(?:[\w,'’-]+ ){0,5}?(?:contents?|examples?|texts?"
        rf"|sentences?|assistance|material|outputs?|that (?:is|are|contains?|promotes?|could be|may be|might be)\b|{_HARM}))"
        r"|\b(?:not something|nothing) (?:that )?i (?:can|am able to|['’]m able to) (?:help|assist|do for you|provide)"
        r"|\bi (?:must|have to) (?:respectfully |politely )?(?:decline|refuse)\b",
        re.I | re.M,
    ),
    ends=("。", "」", ".", "！", "？", "!", "?", '"', "”", "…"),
    label_line=(
        r"^[\"“'‘(\[*]{{0,3}}(?:{names})[\"”'’)\]*]{{0,3}}\s*(?:[:：]|[-–—]\s|$)|[(（\[【<](?:(?:label|class|category|intent|sentiment)\s*[:：]?)?\s*"
        r"(?:{names})\s*[)）\]】>]|(?:^|\n|[(\[])\s*\**(?:label|class|category|intent|sentiment)\**\s*[:：]"
    ),
)


def rules_of(language: str) -> Rules:
    """The rules for replies in `language`."""
    return JAPANESE if language in ("ja", "") else ENGLISH
