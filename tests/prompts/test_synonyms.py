"""Answers in other words than the labels' own: synonyms, their negations, thinking, numbers; and what a task may give as synonyms."""

import pytest

from japagen.errors import ConfigError
from japagen.prompts.questions import read_answer
from japagen.prompts.replies import Reject, clean_reply
from japagen.tasks import Label, Task, check_task
from tests.conftest import load_task

NUMBERS = Task(name="numbers", labels=[Label("0", "x"), Label("1", "x")], system="x")
TASKS = {name: load_task(name) for name in ("jnli", "jsts", "jcola", "jcm", "marcja", "covid19", "news")} | {"numbers": NUMBERS}
ANSWERS: dict[str, list[tuple[str, str | float | None]]] = {
    "marcja": [
        ("ポジティブ", "positive"),
        ("ポジティブです。", "positive"),
        ("**ネガティブ**", "negative"),
        ("感情：ネガティブ", "negative"),
        ("ポジティブではない", None),
        ("ネガティブとは言えない", None),
        ("ポジティブではなくネガティブ", "negative"),
        ("肯定", "positive"),
        ("否定", "negative"),
        ("否定できない", None),
        ("肯定も否定もしない", None),
        ("好意的なレビューです", "positive"),
        ("<think>ネガティブかな</think>ポジティブ", "positive"),
        ("ポジティブ/ネガティブ", None),
        ("答え：ポジティブ（肯定的）", "positive"),
        ("ポジティブな面もあるが、全体としてはネガティブ", None),
        ("ﾎﾟｼﾞﾃｨﾌﾞ", "positive"),
        ("「否定的」に分類されます。", "negative"),
        ("批判的な内容なので否定的", "negative"),
    ],
    "jnli": [
        ("どちらでもない", "neutral"),
        ("どちらとも言えない。", "neutral"),
        ("答え：どちらともいえない", "neutral"),
        ("含意でも矛盾でもなく、どちらとも言えない", "neutral"),
        ("含意関係にあります", "entailment"),
        ("含意関係にはありません", None),
        ("両立しないため矛盾", "contradiction"),
        ("両立しない", "contradiction"),
        ("伴意", "entailment"),
        ("矛盾関係", "contradiction"),
        ("<think>両立しないか？</think>\n中立", "neutral"),
    ],
    "jcola": [
        ("文法的に正しい", "acceptable"),
        ("文法的に正しくない", "unacceptable"),
        ("文法的に誤りがある", "unacceptable"),
        ("非文", "unacceptable"),
        ("非文ではない", None),
        ("容認可能", "acceptable"),
        ("容認不可", "unacceptable"),
        ("容認不可能です", "unacceptable"),
        ("非文法的", "unacceptable"),
        ("文法的です", "acceptable"),
        ("適格", "acceptable"),
        ("不適格", "unacceptable"),
        ("容認可能ではない", None),
        ("文法的に正しい文ではありません", None),
        ("文法的に誤っている", "unacceptable"),
        ("正文", "acceptable"),
    ],
    "jcm": [
        ("許容できない", "wrong"),
        ("許されない", "wrong"),
        ("許される", "permissible"),
        ("問題ない", "permissible"),
        ("問題ありません", None),
        ("間違っていない", "permissible"),
        ("間違っています", None),
        ("不道徳", "wrong"),
        ("道徳に反しない", "permissible"),
        ("道徳に反する", "wrong"),
        ("許容可能です。", "permissible"),
        ("許されるとは言えない", None),
    ],
    "covid19": [
        ("個人的な意見", "opinion"),
        ("個人の意見です", "opinion"),
        ("客観的な事実", "fact"),
        ("個人的な体験", "personal"),
        ("個人的な事実", "personal"),
        ("関係なし", "unrelated"),
        ("関連なし", "unrelated"),
        ("新型コロナウイルスとは関係ない", "unrelated"),
        ("無関係ではない", None),
        ("一般的な事実ではなく個人の体験", "personal"),
    ],
    "news": [
        ("S-MAX", "smax"),
        ("スポーツウォッチ", "sports-watch"),
        ("ムービーエンター", "movie-enter"),
        ("IT LIFE HACK", "it-life-hack"),
        ("it life hack", "it-life-hack"),
        ("Peachy（ピーチィ）", "peachy"),
        ("トピックニュースではなくSports Watch", "sports-watch"),
    ],
    "jsts": [
        ("4.5", 4.5),
        ("類似度は4点です", 4.0),
        ("4~5", None),
        ("４．０", 4.0),
        ("[4]", 4.0),
        ("4/5", 4.0),
        ("4点（5点満点）", 4.0),
        ("-2", None),
        ("マイナス2", None),
        ("<think>3か4</think>3.0", 3.0),
        ('{"score": 2.0}', 2.0),
        ("ゼロ", None),
        ("0.0", 0.0),
    ],
    "numbers": [
        ("1.0", "1"),
        ("ラベル：0", "0"),
        ("答えは1", "1"),
        ("1ではなく0", "0"),
        ("0.3", None),
        ("<think>0</think>1", "1"),
        ("「1」", "1"),
    ],
}
MOOD = Task(
    name="mood", language="en", system="x",
    labels=[Label("positive", "x", synonyms=["happy", "thumbs up"]), Label("negative", "x", synonyms=["unhappy", "sad"])],
)  # fmt: skip


@pytest.mark.parametrize(("task", "reply", "answer"), [(task, *case) for task, cases in ANSWERS.items() for case in cases])
def test_which_label_or_number_an_answer_gives(task: str, reply: str, answer: str | float | None) -> None:
    assert read_answer(TASKS[task], reply) == answer


@pytest.mark.parametrize(
    ("reply", "label"),
    [("Happy.", "positive"), ("unhappy", "negative"), ("not happy", None), ("The label is sad", "negative"), ("thumbs up!", "positive")],
)
def test_english_synonyms_are_read(reply: str, label: str | None) -> None:
    assert read_answer(MOOD, reply) == label


def test_a_text_that_begins_by_naming_a_synonym_gives_its_label_away() -> None:
    assert clean_reply(MOOD, "Thumbs up: I liked the film.", "stop") == Reject("names its label")
    assert clean_reply(MOOD, "A happy child plays in the park.", "stop") == "A happy child plays in the park."


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [Label("a", "x", synonyms=["one"]), Label("b", "x", synonyms=["One"])],
            "labels.b.synonyms has 'One', which names the label 'a' too",
        ),
        ([Label("a", "x", word="甲"), Label("b", "x", synonyms=["甲"])], "names the label 'a' too"),
        ([Label("a", "x", synonyms=["b"]), Label("b", "x")], "labels.a.synonyms has 'b', which names the label 'b' too"),
        ([Label("a", "x", synonyms=[" "]), Label("b", "x")], "labels.a.synonyms has an empty entry"),
    ],
)
def test_synonyms_name_one_label_each(labels: list[Label], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_task(Task(name="t", labels=labels, system="x"))


def test_numbers_have_no_synonyms() -> None:
    task = load_task("jsts")
    task.labels[0].synonyms = ["まったく違う"]
    with pytest.raises(ConfigError, match=r"labels\.0\.synonyms is set, but target=regression"):
        check_task(task)


@pytest.mark.parametrize(("setting", "value"), [("genre", "mails"), ("label_words", "nowhere")])
def test_what_texts_are_is_one_of_a_list(setting: str, value: str) -> None:
    task = load_task("jcola")
    setattr(task, setting, value)
    with pytest.raises(ConfigError, match=setting):
        check_task(task)
