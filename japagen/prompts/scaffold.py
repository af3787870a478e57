"""The words around a task's own texts, by language: questions, requests for lists and attributes.

Japanese for tasks whose language is ja or '' (any), whose requests and keys stay as they were; English for every other language, since
LLMs follow it whatever they are to write. A task's own prompts say in which language its texts are.
"""

from dataclasses import dataclass
from typing import Any

from japagen.tasks import Task


@dataclass(frozen=True)
class Template:
    """How one template asks; `{task}` and `{labels}` are the task described and its labels with their meanings."""

    system: str
    user: str
    """`{text}` is the text, or both of a pair with their headings."""


@dataclass(frozen=True)
class Scaffold:
    """One language's words."""

    language: str
    version: int
    """Raised when a word changes."""
    label_kind: str
    """What a classification's answers are called; `{kind}` in templates."""
    score_kind: str
    """What a regression's are called."""
    templates: tuple[Template, ...]
    """Of method.template=0, 1 and 2."""
    content_free: tuple[str, ...]
    """Texts that say nothing, for contextual calibration."""
    shown_single: str
    shown_pair: str
    made_for: str
    """What a label means where only its `{instruction}` says it."""
    one_of: str
    """Opens an attribute's phrase with all its values."""
    value_joiner: str
    attribute_requests: tuple[str, ...]
    """Tried in this order until a reply can be used."""
    attribute_form: str
    attribute_chars: tuple[int, int]
    """Longest name of an attribute, and of a value."""
    attribute_phrase: str
    """What a request says of an attribute that the LLM named: `{name}`, and `{{value}}` for the value drawn."""
    list_request: str
    """Follows an instruction that asks for one text, and asks for `{num}` in a list."""
    persona_phrase: str
    style_phrase: str
    """Follows an instruction and shows the user's text `{value}`."""


JAPANESE = Scaffold(
    language="ja",
    version=1,
    label_kind="ラベル",
    score_kind="類似度の数",
    templates=(
        Template(
            "あなたは日本語の文章を正確に分類します。\n課題の説明: {task}\nラベルの一覧:\n{labels}\n"
            "答えには、一覧にある{kind}を一つだけ書いてください。",
            "{text}\n{kind}:",
        ),
        Template(
            "これから示す文章について、次の中からもっともよく当てはまるものを一つ選んでください。\n{labels}\n参考: {task}\n"
            "{kind}だけを答え、理由は書かないでください。",
            "{text}\nもっともよく当てはまる{kind}はどれですか。",
        ),
        Template(
            "# 背景\n{task}\n\n# 選択肢\n{labels}\n\n# 指示\n与えられた文章を読み、選択肢の{kind}のうち正しいものを一つ出力してください。"
            "ほかには何も出力しないでください。",
            "# 文章\n{text}\n\n# 答え",
        ),
    ),
    content_free=("該当なし", "なし", "…"),
    shown_single="文章: {0}",
    shown_pair="文1: {0}\n文2: {1}",
    made_for=": 「{instruction}」と頼まれて書かれた文章",
    one_of="文章ごとに、次のどれかが当てはまります: ",
    value_joiner="」「",
    attribute_requests=(
        "この課題のための文章をたくさん書きます。内容が偏らないように、文章の内容を分ける観点を二つから四つ挙げ、観点ごとに値を五つから十個挙げてください。",
        "さまざまな内容の文章を集めたいので、文章を特徴づける項目を二つから四つ考え、それぞれの項目がとりうる値を五つから十個書き出してください。",
        "文章の話題、場面、書き手などのうち、この課題の文章を多様にするものを二つから四つ選び、それぞれに具体的な値を五つから十個挙げてください。",
    ),
    attribute_form=(
        'ラベルの違いそのものは挙げないでください。次の形のJSONだけを出力してください。\n[{"name": "観点の名前", "values": ["値1", "値2"]}]'
    ),
    attribute_chars=(20, 30),
    attribute_phrase="{name}は「{{value}}」です。",
    list_request=(
        "ただし、一つだけでなく、互いにできるだけ違うものを{num}個書いてください。答えは、"
        '{{"text": 書いたもの, "probability": 確率}} を{num}個並べたJSONの配列だけにしてください。'
        "確率は、考えられる答えすべての中でそれがどのくらい書かれやすいかを、0から1までの数で表したものです。"
    ),
    persona_phrase="次の人物になったつもりで書いてください: {value}",
    style_phrase="書き方だけを次の文章にならい、内容は変えてください: {value}",
)
ENGLISH = Scaffold(
    language="en",
    version=1,
    label_kind="label",
    score_kind="similarity score",
    templates=(
        Template(
            "You sort texts with care and without mistakes.\nThe task: {task}\nThe labels:\n{labels}\n"
            "Answer with one {kind} from this list and nothing else.",
            "{text}\nThe {kind}:",
        ),
        Template(
            "Of the following, choose the one that fits the text best.\n{labels}\nBackground: {task}\n"
            "Give the {kind} only, without a reason.",
            "{text}\nWhich {kind} fits best?",
        ),
        Template(
            "# Background\n{task}\n\n# Choices\n{labels}\n\n# Instruction\nRead the text that is given, and output the one {kind} among the"
            " choices that is right. Output nothing besides.",
            "# Text\n{text}\n\n# Answer",
        ),
    ),
    content_free=("not applicable", "none", "…"),
    shown_single="Text: {0}",
    shown_pair="Text 1: {0}\nText 2: {1}",
    made_for=': a text that somebody wrote when asked "{instruction}"',
    one_of="Each text has one of these: ",
    value_joiner='", "',
    attribute_requests=(
        "Many texts are to be written for this task. So that they cover it, name two to four respects in which their content can differ,"
        " and for each respect five to ten values.",
        "We want texts of many kinds. Think of two to four properties by which such texts are told apart, and list five to ten values that"
        " each property can have.",
        "Choose two to four things that make the texts of this task diverse, such as topic, situation or writer, and give five to ten"
        " concrete values for each.",
    ),
    attribute_form=(
        ' Do not name the difference between the labels itself. Output JSON of this form only.\n[{"name": "the respect", "values":'
        ' ["value 1", "value 2"]}]'
    ),
    attribute_chars=(40, 60),
    attribute_phrase='{name}: "{{value}}".',
    list_request=(
        "But write not one: write {num} that differ from each other as much as they can. Answer with a JSON array only, of {num} entries"
        ' {{"text": what you wrote, "probability": a number}}. The probability says, from 0 to 1, how likely this answer is among'
        " all answers that could be given."
    ),
    persona_phrase="Write as if you were this person: {value}",
    style_phrase="Follow the style of this text, but not its content: {value}",
)


def scaffold_of(task: Task) -> Scaffold:
    """The words around the task's texts."""
    return JAPANESE if task.language in ("ja", "") else ENGLISH


def scaffold_identity(task: Task) -> dict[str, Any]:
    """What of it enters the key of what is sent; nothing where it is Japanese, so that older keys stay as they were."""
    scaffold = scaffold_of(task)
    return {} if scaffold is JAPANESE else {"scaffold": [scaffold.language, scaffold.version]}
