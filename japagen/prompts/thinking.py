"""A reply as a server sent it -> the reply without the LLM's thinking.

Applied where a reply is received (`japagen.llm.client`), so stored rows of written texts hold no thinking and the rules of
`japagen.prompts.replies` need not know it. `japagen.prompts.readings` keeps its own, narrower rule for answers that were stored before.

Known forms: pairs of tags (of which the chat template may have written the opening one into the prompt), the channels of gpt-oss
(harmony), and those channels after a server dropped their special tokens (`analysis…assistantfinal…`).
"""

import re

_NAMES = "think|thinking|thought|thoughts|reasoning|reason|reflection|scratchpad|analysis|inner_monologue|seed:think|mm:think"
_OPENS = re.compile(
    rf"<(?:{_NAMES})>|\[think\]|◁think▷|<\|(?:start_thinking|begin_of_thought|think|thinking)\|>|<\|channel>\s*thought|<unused94>thought",
    re.I,
)
_CLOSES = re.compile(
    rf"</(?:{_NAMES})>|\[/think\]|◁/think▷|<\|(?:end_thinking|end_of_thought|/think|/thinking)\|>|<channel\|>|<unused95>", re.I
)
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]{0,100}(?:<\|constrain\|>[^<]{0,100})?<\|message\|>", re.I)
"""The opening of a harmony channel; the name may be followed by a recipient (`commentary to=functions.x`)."""
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start|channel|message|constrain)\|>")
_STRIPPED_FINAL = "assistantfinal"
"""What is left of `<|start|>assistant<|channel|>final<|message|>` without its special tokens."""
_STRIPPED_ANALYSIS = re.compile(r"\s*analysis(?=[A-Z\u3041-\u30ff\u3400-\u9fff])")
"""The name of the first channel with its text right behind it, as no sentence begins."""


def strip_thinking(reply: str) -> tuple[str, bool]:
    """(the reply without thinking, whether there was any). The text is '' where the thinking never ends.

    A reply without thinking comes back as it is, and so does a reply that was stripped before.
    """
    text = reply
    while (stripped := _strip_once(text)) != text:
        text = stripped
    return text, text != reply


def _strip_once(text: str) -> str:
    if "<|channel|>" in text and (channels := list(_CHANNEL.finditer(text))):
        return _final_channel(text, channels)
    if _OPENS.search(text) or _CLOSES.search(text):
        return _outside_tags(text)
    return _after_stripped_channels(text)


def _final_channel(text: str, channels: list[re.Match[str]]) -> str:
    """The text of the last channel called final; of channels without one, nothing."""
    final = next((channel for channel in reversed(channels) if channel[1].lower() == "final"), None)
    if final is None:
        return ""
    return _CHANNEL_END.split(text[final.end() :], maxsplit=1)[0].strip()


def _outside_tags(text: str) -> str:
    """What follows the last closing tag and precedes an opening one after it; where that is empty, what precedes the first opening tag."""
    closings = list(_CLOSES.finditer(text))
    after = text[closings[-1].end() :] if closings else text
    answer = _OPENS.split(after, maxsplit=1)[0].strip()
    if not answer and closings and _OPENS.search(text):  # the answer came first
        answer = _OPENS.split(text, maxsplit=1)[0].strip()
    return answer


def _after_stripped_channels(text: str) -> str:
    _, final, answer = text.rpartition(_STRIPPED_FINAL)
    if final:
        return answer.strip()
    return "" if _STRIPPED_ANALYSIS.match(text) else text
