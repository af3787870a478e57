"""The rules for English replies: what an assistant says around a text or in its place, beside what people write themselves.

They serve every language but Japanese. What customers say ("I can't connect", "Here is my account number") is a text: a refusal needs an
assistant's own words.
"""

import re

from japagen.prompts.reply_rules import (
    FIRST_STRIPS,
    INNER_STRIPS,
    LAST_REFUSALS,
    MESSAGES,
    WRAPPERS,
    Refuse,
    Rules,
    Strip,
    holds,
    substitute,
    without_last_line,
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
_PREAMBLE = re.compile(
    r"^(?:(?:sure|certainly|absolutely|of course|understood)(?: thing)?\s*(?:[!:]|[,.]?\s*\n)"
    r"|(?:sure|certainly|absolutely|of course|understood|okay|ok|got it|great|no problem)(?: thing)?"
    rf"(?:\s*[!:,.]?[ \t]*\n|[,.;:!–—-]*\s+{_OFFER}\b)"
    rf"|{_HERE}\s+{_SOME}{_MADE}\b(?!\s+(?:i|we|that i|that we|my|from my)\b)[^\n:]{{0,100}}:\s*(?:\n|[\"“‘'*])"
    rf"|{_HERE}\s+{_SOME}(?:examples?|samples?)\b[^\n]{{0,100}}:"
    rf"|(?:below|the following) (?:is|are) {_SOME}{_MADE}\b"
    rf"|(?:the|my|your) {_MADE} (?:is|are|reads|would be|could be|to be sent is|will be written as)\s*[:\"“]"
    r"|your task is to\b|you are asked to write\b)",
    re.I,
)
_REMARK = (
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
    r"|[(\[]\d+ (?:characters|chars|words)[)\]]"
)
_REFUSAL = (
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|\bi(?:['’]m| am) (?:just |only )?(?:an? )?(?:ai\b|(?:large )?language model|virtual assistant|chatbot)"
    rf"|^(?:[^\n.!?]{{0,40}}[.!?,]? )?{_CANNOT}(?: to)?\s+(?:be able to )?(?:assist\b(?! (?:me|us)\b)"
    rf"|help (?:you )?with {_THIS}\b"
    rf"|(?:fulfil+|comply with|carry out|respond to|engage (?:in|with)) (?:{_THIS}|the)\b"
    rf"|(?:answer|complete|process|do) {_THIS} (?:[\w-]+ )?(?:request|task|prompt|instruction|question)s?\b"
    r"|(?:provide|generat\w+|creat\w+|produc\w+|writ\w+|give|offer) (?:you )?(?:[\w,'’-]+ ){0,5}?(?:contents?|examples?|texts?"
    rf"|sentences?|assistance|material|outputs?|that (?:is|are|contains?|promotes?|could be|may be|might be)\b|{_HARM}))"
    r"|\b(?:not something|nothing) (?:that )?i (?:can|am able to|['’]m able to) (?:help|assist|do for you|provide)"
    r"|\bi (?:must|have to) (?:respectfully |politely )?(?:decline|refuse)\b"
)
_HEADING = (
    r"(?:(?:customer|user|sample|example|generated|second|first) (?:text|sentence|message|query|question|request|review|e-?mail)"
    r"|example ?\d{0,2}|text ?[12]?|sentence ?[12]?|output|answer|response|reply|message|premise|hypothesis|review|tweet|headline|query"
    r"|caption|title|body|article|assistant|customer|user)"
)
_NOTE = r"(?:please )?(?:note|explanation|reasoning|reason|character count|characters|length|translation|word count)"


def _without_preamble_line(text: str) -> str:
    first, _, rest = text.partition("\n")
    return rest.strip() if rest.strip() and _PREAMBLE.match(f"{first.strip().strip('*').strip()}\n") else text


REFUSAL_RULES = (
    Refuse("refusal", "refusal", holds(_REFUSAL, re.I | re.M), "I'm sorry, but I can't assist with that."),
    Refuse(
        "refusal of nothing named",
        "refusal",
        holds(
            r"\A(?:i(?:['’]m| am) )?(?:so |very )?(?:sorry\s*[,.!]?\s*)?(?:but )?i (?:can(?:no|['’])t|can not|am unable to)"
            r"(?: do)?(?: this| that)?[.!]?\Z",
            re.I,
        ),
        "I'm sorry, I can't do that.",
        unless=(MESSAGES,),
    ),
)
_CANDIDATE = re.compile(
    r"\s*\**(?:(?:text|example|sample|sentence|message|review|option|version|query|tweet)\s*#?\d{1,2}|option [a-d])\**\s*[:.)]", re.I
)
ENGLISH = Rules(
    language="en",
    version=2,
    outer=(
        *FIRST_STRIPS,
        *WRAPPERS,
        Strip("line before the text", _without_preamble_line, ("Sure, here is one:\nMy card is lost.", "My card is lost.")),
        Strip(
            "note behind the text",
            substitute(
                rf"\n[ \t]*[(\[]?\**{_NOTE}\**\s*:[\s\S]*\Z|\s*[(\[](?:{_NOTE}\s*:[^()\[\]\n]*|\d+ (?:characters|chars|words))[)\]]\Z",
                flags=re.I,
            ),
            ("My card is lost.\n\n**Note:** This is about a card.", "My card is lost."),
        ),
        Strip("line behind the text", without_last_line(_REMARK, re.I), ("My card is lost.\nI hope this helps!", "My card is lost.")),
    ),
    inner=(
        Strip(
            "heading",
            substitute(rf"\A(?:\s*(?:\*{{0,2}}){_HEADING}\*{{0,2}}\s*[:：]\*{{0,2}}\s*)++(?=\S)", flags=re.I),
            ("**Customer message:** My card is lost.", "My card is lost."),
        ),
        *INNER_STRIPS,
    ),
    refusals=(
        *REFUSAL_RULES,
        Refuse(
            "chat before the text", "preamble", lambda text: _PREAMBLE.match(text) is not None, "Sure! Here is an example: I lost my card."
        ),
        Refuse("chat behind the text", "preamble", holds(_REMARK, re.I), "My card is lost. This text is an example of a complaint."),
        Refuse(
            "blank to be filled in",
            "placeholder",
            holds(
                r"\[(?:your|my|the|insert|product|company|customer|name|date|amount|account|order|card|bank|city|number|merchant|store"
                r"|brand|item"
                r"|first|last|phone|e-?mail|address)\b[^\]\n]{0,40}\]|\{{1,2}[a-z_ ]{2,30}\}{1,2}|\b[Xx]{4,}\b|_{4,}",
                re.I,
            ),
            "My order [order number] is late.",
        ),
        Refuse(
            "question about the order",
            "refusal",
            holds(
                r"\b(?:could|can|would) you (?:please )?(?:provide|clarify|specify|share|tell me) (?:me )?(?:with )?(?:the|more|what"
                r"|which|some)\b[^\n]{0,60}\b(?:label|task|premise|text|topic|sentence|context|prompt)s?\b",
                re.I,
            ),
            "Could you please provide the premise?",
            unless=(MESSAGES,),
        ),
        *LAST_REFUSALS,
    ),
    ends=("。", "」", ".", "！", "？", "!", "?", '"', "”", "…"),
    label_line=(
        r"\A[\"“'‘(\[*]{{0,3}}(?:{names})[\"”'’)\]*]{{0,3}}\s*(?:[:：]|[-–—]\s|[.。]?[\"”'’)\]*]{{0,3}}\Z)"
        r"|\A[\"“'‘](?:{names})[\"”'’]\s+(?:is|means|refers|indicates)\b|\A(?:{names})\s+(?:is|means|refers to|indicates)\s*:"
        r"|[(（\[【<](?:(?:label|class|category|intent|sentiment)\s*[:：]?)?\s*(?:{names})\s*[)）\]】>]"
        r"|(?:\A|\n|[(\[])\s*\**(?:label|class|category|intent|sentiment)\**\s*[:：]"
    ),
    numbered_heading=_CANDIDATE,
)
"""The rules for tasks in any language but Japanese."""
