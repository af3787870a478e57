"""Replies: what becomes a text, and why the rest doesn't."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.prompts.japanese import is_japanese
from japagen.prompts.replies import REASONS, Reject, clean_reply, normalise
from tests.conftest import Compose


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("犬が公園を走っています。", "犬が公園を走っています。"),
        ("  犬が走る。\n", "犬が走る。"),
        ("「犬が公園を走っています。」", "犬が公園を走っています。"),
        ("1. 犬が公園を走っています。", "犬が公園を走っています。"),
        ("・犬が公園を走っています。", "犬が公園を走っています。"),
        ("仮説：犬が公園を走っています。", "犬が公園を走っています。"),
        ("文: 「犬が公園を走っています。」", "犬が公園を走っています。"),
        ("「はい」と彼は「いいえ」", "「はい」と彼は「いいえ」"),
        ("2人の男性が話しています。", "2人の男性が話しています。"),
        ("10月の空は高い。", "10月の空は高い。"),
        ("矛盾した話を聞きました。", "矛盾した話を聞きました。"),
        ("TVを見ながらコーヒーを飲む。", "TVを見ながらコーヒーを飲む。"),
        ("ﾈｺがねている。", "ﾈｺがねている。"),
        ("東京五輪開会式中止要請", "東京五輪開会式中止要請"),
        ("申し訳なさそうに頭を下げた。", "申し訳なさそうに頭を下げた。"),
    ],
)
def test_texts_are_kept_without_their_wrappers(composed: Compose, reply: str, text: str) -> None:
    assert clean_reply(composed().task, reply, "stop") == text


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "empty"),
        ("。。。", "empty"),
        ("申し訳ありませんが、その内容は作成できません。", "refusal"),
        ("AIとしてお答えすることはできません。", "refusal"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("はい、承知しました。犬が走る。", "preamble"),
        ("以下に例を示します。", "preamble"),
        ("犬が走る。いかがでしょうか？", "preamble"),
        ("犬が走っています。\n猫が寝ています。", "several candidates"),
        ("1. 犬が走る\n2. 猫が寝る", "several candidates"),
        ("含意：犬が走っています。", "names its label"),
        ("犬が走っています。（矛盾）", "names its label"),
        ("A dog is running in the park.", "wrong language"),
        ("这是一个很好的例子。", "wrong language"),
        ("一個男人正在公園裡跑步並且帶著他的狗", "wrong language"),
        ("犬。", "too short"),
        ("犬" * 30 + "が走る" * 10, "too long"),
        ("1." * 500_000, "too long"),
    ],
)
def test_rejects_name_their_reason(composed: Compose, reply: str, reason: str) -> None:
    assert clean_reply(composed().task, reply, "stop") == Reject(reason)
    assert reason in REASONS


def test_what_the_server_says_of_a_reply(composed: Compose) -> None:
    task = composed().task
    assert clean_reply(task, "犬が走って", "length") == Reject("truncated")
    assert clean_reply(task, "", "error") == Reject("error")


def test_numeric_labels_are_no_names(composed: Compose) -> None:
    task = composed("task=jsts").task
    assert clean_reply(task, "5人が並んでいます。", "stop") == "5人が並んでいます。"
    assert clean_reply(task, "類似度5：5人が並んでいます。", "stop") == Reject("names its label")


def test_any_language_is_taken_where_the_task_names_none(composed: Compose) -> None:
    assert clean_reply(composed("task.language=''").task, "A dog runs.", "stop") == "A dog runs."


@given(st.text())
def test_any_text_is_either_clean_or_rejected_for_a_known_reason(text: str) -> None:
    from japagen.tasks import Label, Task

    task = Task(name="t", labels=[Label("a", "", "含意"), Label("b", "", "矛盾")])
    cleaned = clean_reply(task, text, "stop")
    if isinstance(cleaned, Reject):
        assert cleaned.reason in REASONS
    else:
        assert task.min_chars <= len(cleaned) <= task.max_chars
        assert clean_reply(task, cleaned, "stop") == cleaned
        assert is_japanese(cleaned)


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    "text",
    [
        "東京都新規感染者数過去最多更新", "衆議院解散総選挙投開票日決定", "終了間際同点弾、決勝進出", "是正勧告受領", "那覇市長選挙告示",
        "ｽﾏﾎが壊れた", "ﾊﾝｶｸｶﾀｶﾅ", "今日も元気😊🎉", "PCR検査陰性！！", "iPhone 5はLTE対応、Galaxy S IIIと比較", "Windows 7のSSD換装tips",
        "Xperia GX SO-04D発売", "森鷗外の小説", "山﨑さんと髙橋さん", "頰を剝がす",
    ],
)  # fmt: skip
def test_japanese_is_kept(text: str) -> None:
    assert is_japanese(text)


@pytest.mark.parametrize(
    "text",
    [
        "这个产品非常好用", "今天天气很好，我们去公园玩吧。", "這個產品非常好用", "我是學生", "他們在公園裡跑步", "質量很好，物流也很快",
        "你好", "This is a pen.", "I love 寿司 and ramen very much today", "안녕하세요", "Привет, как дела", "12345", "😊🎉", "",
    ],
)  # fmt: skip
def test_other_languages_are_refused(text: str) -> None:
    assert not is_japanese(text)


def test_paragraphs_are_one_text_where_the_task_has_them(composed: Compose) -> None:
    reply = "届いてすぐに使いました。\nとても軽いです。\n\n買ってよかったです。"
    assert clean_reply(composed("task=marcja").task, reply, "stop") == "届いてすぐに使いました。 とても軽いです。 買ってよかったです。"
    assert clean_reply(composed("task=jcola").task, reply, "stop") == Reject("several candidates")
    numbered = "1. とても軽いです。\n2. 買ってよかったです。"
    assert clean_reply(composed("task=marcja").task, numbered, "stop") == Reject("several candidates")


@pytest.mark.parametrize(
    "text",
    [
        "1.5リットルの水を飲んだ。", "１．５リットルの水を飲んだ。", "10:30に駅で会いましょう。", "10：30に駅で会いましょう。",
        "3、4人が並んでいる。",
        "2、三冊の本が積んである。", "○○さんが駅前に来た。", "○月○日に届きました。", "●●さんが駅前に来た。", "-5℃まで冷え込んだ。",
        "–5℃まで冷え込んだ。",
        "・・・そうだったのか。",
    ],
)  # fmt: skip
def test_numbers_and_names_at_the_start_are_no_list_markers(composed: Compose, text: str) -> None:
    task = composed("task=covid19").task
    assert clean_reply(task, text, "stop") == text
    assert clean_reply(task, f"1. {text}", "stop") == text
    assert clean_reply(task, f"「{text}」", "stop") == text


@pytest.mark.parametrize("marker", ["1. ", "1.", "1) ", "(1)", "１．", "1、", "1: ", "・", "- ", "-", "* ", "● ", "●", "○ ", "• "])
def test_list_markers_are_removed(composed: Compose, marker: str) -> None:
    assert clean_reply(composed().task, f"{marker}犬が公園を走っています。", "stop") == "犬が公園を走っています。"


@pytest.mark.parametrize("marker", ["1. ", "1)", "(1) ", "・", "- ", "● "])
def test_list_markers_are_removed_before_numbers(composed: Compose, marker: str) -> None:
    assert clean_reply(composed().task, f"{marker}2人が公園を走っています。", "stop") == "2人が公園を走っています。"
