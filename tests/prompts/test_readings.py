"""Written answers: which number or label a reply gives, and where it gives none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.prompts.questions import answer_word, read_answer
from japagen.prompts.readings import read_labels, read_number, without_thinking
from japagen.tasks import Label, Task
from tests.conftest import load_task

NUMBERS = Task(name="numbers", labels=[Label("0", "x"), Label("1", "x")], system="x")
"""Labels that are numbers."""
NUMBERED = Task(name="numbered", labels=[Label("0", "x", word="不可"), Label("1", "x", word="可能")], system="x")
"""Labels that are numbers and have words."""
TASKS = {name: load_task(name) for name in ("jsts", "jnli", "marcja", "jcola", "covid19", "jcm")} | {
    "numbers": NUMBERS,
    "numbered": NUMBERED,
}


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ("3.5", 3.5), ("0.5", 0.5), ("1.0", 1.0), ("4.2", 4.2), ("4.8", 4.8), (".5", 0.5), ("0", 0.0), ("5.0", 5.0), ("+3", 3.0),
        ("３．５", 3.5), ("３", 3.0), ("①", 1.0), ("3.", 3.0), ("３．", 3.0), ("3。", 3.0), ("3、", 3.0), ("(3)", 3.0), ("（３）", 3.0),
        ("「3」", 3.0), ("**3.0**", 3.0), ("- 3", 3.0), ("3点", 3.0), ("三点", 3.0), ("類似度は三です", 3.0), ("約3.5", 3.5),
        ("類似度は0.2です。", 0.2), ("類似度：３．２点", 3.2), ("スコアは4.0<|im_end|>", 4.0), ('{"類似度": 3.5}', 3.5),
        ("5点満点中3点", 3.0), ("5段階評価で4", 4.0), ("3/5", 3.0), ("3.5/5.0", 3.5), ("4/5点", 4.0), ("3 out of 5", 3.0), ("5分の3", 3.0),
        ("文1と文2の類似度は4です。", 4.0), ("2つの文は似ている。類似度は3.8", 3.8), ("類似度は1ではなく4です", 4.0),
        ("理由：2つの文は2人の男性を描く。答え：3", 3.0), ("2人が…</think>\n\n3", 3.0),
        ("<think>文1は2人、文2は3人。4かな。</think>3.5", 3.5), ("[THINK]2か3[/THINK]4", 4.0),
        ("<|channel|>analysis<|message|>2 or 3<|end|><|start|>assistant<|channel|>final<|message|>4.5<|return|>", 4.5),
        ("-1", None), ("−1", None), ("-0.5", None), ("5.1", None), ("7", None), ("70%", None), ("3以上", None), ("6/10", None),
        ("10点満点中6点", None), ("3〜4", None), ("3-4", None), ("3から4", None), ("0から5で言えば3", None), ("3,5", None),
        ("1. 3.5", None), ("5点中3点", 3.0), ("五点満点中三点", 3.0), ("一点だけ異なるので4", 4.0), ("十点満点中三点", None),
        ("3.5.1", None), ("3ではない", None), ("<think>4かな", None), ("類似度: 3.5\n理由: 2人の男性と1匹の犬", None), ("", None),
    ],
)  # fmt: skip
def test_which_number_a_reply_gives(reply: str, number: float | None) -> None:
    assert read_answer(TASKS["jsts"], reply) == number


@pytest.mark.parametrize(
    ("name", "reply", "label"),
    [
        ("jnli", "矛盾しない", None), ("jnli", "矛盾していません", None), ("jnli", "矛盾ではない", None), ("jnli", "無矛盾", None),
        ("jnli", "「矛盾」ではありません", None), ("jnli", "矛盾が見られない", None), ("jnli", "矛盾は生じない", None),
        ("jcola", "容認できるかどうかわからない", None), ("jnli", "矛盾か否かは不明", None), ("jnli", "矛盾は認められません。", None),
        ("jnli", "含意関係が成り立たない", None), ("jnli", "含意とも矛盾とも言えない", None),
        ("marcja", "肯定的ではない", None), ("marcja", "肯定的でない", None), ("marcja", "肯定的とは言えない", None),
        ("marcja", "肯定的なレビューではありません", None), ("marcja", "not positive", None), ("marcja", "It isn't negative", None),
        ("jcola", "容認できるとは言えない", None), ("jcola", "容認できないとは言えない", None), ("covid19", "無関係ではない", None),
        ("jnli", "矛盾ではなく含意", "entailment"), ("jnli", "矛盾しないので中立", "neutral"),
        ("jnli", "中立（含意とも矛盾とも言えない）", "neutral"), ("jnli", "含意でも矛盾でもない。中立", "neutral"),
        ("jnli", "neither entailment nor contradiction, so neutral", "neutral"),
        ("covid19", "意見ではなく一般的な事実", "fact"), ("covid19", "無関係", "unrelated"),
        ("jcola", "容認できない", "unacceptable"),
        ("jnli", "矛盾かもしれない", "contradiction"), ("jnli", "矛盾に違いない", "contradiction"),
        ("jnli", "矛盾しかない", "contradiction"),
        ("jnli", "矛盾にほかならない", "contradiction"), ("jnli", "矛盾した内容です", "contradiction"),
        ("marcja", "否定的な意見が多いが、電池が持たないからだ", "negative"), ("marcja", "否定的。使えない。", "negative"),
        ("marcja", "肯定的ですがよくない点もある", "positive"), ("marcja", "Positive", "positive"),
    ],
)  # fmt: skip
def test_a_negated_label_is_not_named(name: str, reply: str, label: str | None) -> None:
    assert read_answer(TASKS[name], reply) == label


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("<think>これは矛盾ではない。中立でもない</think>含意", "entailment"), ("矛盾かな</think>\n含意", "entailment"),
        ("含意<think>矛盾では…</think>", "entailment"), ("<think>矛盾", None), ("含意\n理由：矛盾や中立より自然である", "entailment"),
        ("含意\n矛盾\n中立", None), ("含意/矛盾/中立", None), ("**矛盾**", "contradiction"), ("1. 含意", "entailment"),
        ("- 含意", "entailment"), ("含意<|im_end|>", "entailment"), ("わかりません", None),
    ],
)  # fmt: skip
def test_the_answer_is_read_and_not_the_thinking(reply: str, label: str | None) -> None:
    assert read_answer(TASKS["jnli"], reply) == label


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("1.0", "1"), ("1", "1"), ("0", "0"), ("0.0", "0"), ("１", "1"), ("1.", "1"), ("(1)", "1"), ("ラベルは1です。", "1"),
        ("ラベル: 0", "0"), ("<think>0か？</think>1", "1"), ("0ではなく1", "1"), ("0.5", None), ("-1", None), ("10", None), ("2", None),
        ("1ではない", None), ("0または1", None),
    ],
)  # fmt: skip
def test_labels_that_are_numbers_are_read_as_numbers(reply: str, label: str | None) -> None:
    assert read_answer(NUMBERS, reply) == label


@pytest.mark.parametrize(("reply", "label"), [("1. 不可", "0"), ("0: 可能", "1"), ("1", "1"), ("1.0", "1"), ("不可", "0"), ("2件", None)])
def test_a_number_beside_a_label_word_is_a_list_marker(reply: str, label: str | None) -> None:
    assert read_answer(NUMBERED, reply) == label


def test_case_parts_labels_only_where_nothing_else_does() -> None:
    assert read_labels("POSITIVE", {"positive": "p", "negative": "n"}) == {"p"}
    assert read_labels("a", {"a": "small", "A": "large"}) == {"small"}


def test_a_latin_word_within_another_is_not_named() -> None:
    assert read_labels("unacceptable", {"acceptable": "yes"}) == set()
    assert read_labels("label10", {"label1": "one", "label10": "ten"}) == {"ten"}


FORMS = [
    "{}",
    "{}。",
    "({})",
    "「{}」",
    "**{}**",
    "{}点",
    "類似度は{}です。",
    "答え：{}",
    "{}/5",
    "5点満点中{}点",
    "<think>2か4か</think>{}",
]


@given(st.integers(0, 50), st.sampled_from(FORMS), st.booleans())
def test_every_score_in_one_decimal_is_read_in_every_form(tenths: int, form: str, is_wide: bool) -> None:
    written = f"{tenths / 10:.1f}"
    if is_wide:
        written = written.translate(str.maketrans("0123456789.", "０１２３４５６７８９．"))
    assert read_number(form.format(written), 0.0, 5.0) == tenths / 10


@given(
    st.sampled_from(["jnli", "marcja", "covid19"]), st.integers(0, 3),
    st.sampled_from(["{}ではない", "{}ではありません。", "{}とは言えません", "{}でもない", "{}と判断することはできない", "非{}"]),
)  # fmt: skip
def test_no_negation_names_its_label(name: str, place: int, form: str) -> None:
    task = TASKS[name]
    assert read_answer(task, form.format(answer_word(task, task.labels[place % len(task.labels)]))) is None


@given(st.text(), st.sampled_from(["</think>", "</thinking>", "[/THINK]"]))
def test_what_comes_before_the_end_of_thinking_is_never_read(thinking: str, end: str) -> None:
    assert read_answer(TASKS["jnli"], f"{_plain(thinking)}{end}含意") == "entailment"
    assert without_thinking(f"<think>{_plain(thinking)}") == ""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", ["1", "1/", "<think>", "</think>", "矛盾でも", "<|", "答え:", "not ", "3分の", "."])
def test_a_reply_of_a_megabyte_is_no_answer_and_does_not_hang(unit: str) -> None:
    reply = unit * (1_000_000 // len(unit))
    assert (read_answer(TASKS["jsts"], reply), read_answer(TASKS["jnli"], reply)) == (None, None)


def _plain(text: str) -> str:
    return text.replace("<", "").replace("[", "")
