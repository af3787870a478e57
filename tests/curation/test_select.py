"""Selection: in (index, label) order, first of duplicates, nothing copied from the prompt."""

import pytest

from japagen.curation.select import Selector
from japagen.tasks import Example
from tests.conftest import Compose
from tests.stubs.stream_rows import Reply, Rows


def pairs(firsts: list[str], seconds: dict[str, list[str]]) -> Rows:
    rows = Rows({("", index, 0): Reply(text) for index, text in enumerate(firsts)})
    rows.update({(label, index, 1): Reply(text) for label, texts in seconds.items() for index, text in enumerate(texts)})
    return rows


def test_of_duplicates_the_first_in_index_and_label_order_is_kept(composed: Compose) -> None:
    config = composed("task=jcola")
    rows = Rows(
        {("acceptable", 0, 0): Reply("犬が走る。"), ("unacceptable", 0, 0): Reply("犬が走る。"), ("acceptable", 1, 0): Reply("ｲﾇが走る。")}
    )
    rows["acceptable", 1, 0] = Reply("犬が走る。")
    rows["unacceptable", 1, 0] = Reply("犬を走るが。")
    rows["acceptable", 2, 0] = Reply("猫が寝ている。")
    selector = Selector(config.task, config.curate, 2)
    selector.advance(rows)
    accepted = [("acceptable", 0), ("unacceptable", 0), ("unacceptable", 1), ("acceptable", 2)]
    assert [(one.label, one.index) for one in selector.accepted] == accepted, "under another label it is no duplicate"
    assert selector.rejects("acceptable")["duplicate"] == 1
    assert not selector.rejects("unacceptable")


def test_rows_of_a_full_label_are_passed_over(composed: Compose) -> None:
    config = composed("task=jcola")
    rows = Rows({("acceptable", 0, 0): Reply("犬が走る。"), ("unacceptable", 0, 0): Reply("短")})
    rows |= {("acceptable", 1, 0): Reply("猫が走る。"), ("unacceptable", 1, 0): Reply("猫が走る。")}
    selector = Selector(config.task, config.curate, 1)
    selector.advance(rows)
    assert selector.is_complete
    assert [(one.label, one.texts) for one in selector.accepted] == [("acceptable", ("犬が走る。",)), ("unacceptable", ("猫が走る。",))]


def test_a_missing_row_is_waited_for(composed: Compose) -> None:
    config = composed("task=jcola")
    rows = Rows({("acceptable", 0, 0): Reply("犬が走る。"), ("acceptable", 1, 0): Reply("猫が走る。")})
    selector = Selector(config.task, config.curate, 2)
    selector.advance(rows)
    assert (selector.next_index("acceptable"), selector.next_index("unacceptable")) == (1, 0)
    rows |= {("unacceptable", 0, 0): Reply("犬をが走る。"), ("unacceptable", 1, 0): Reply("猫をが走る。")}
    selector.advance(rows)
    assert selector.is_complete


def test_pairs_are_judged_as_pairs(composed: Compose) -> None:
    config = composed()
    firsts = ["犬が走る。"] * 6 + ["I cannot"]
    seconds = {
        "entailment": ["動物が走る。", "生き物がいる。", "動物が走る。", "犬が走る。", "動物だ。走る。", "獣が走る。"],
        "contradiction": ["犬が寝る。"] * 6,
        "neutral": ["犬が走る。"] * 6,
    }
    selector = Selector(config.task, config.curate, 5)
    selector.advance(pairs(firsts, seconds))
    assert selector.rejects("entailment") == {"duplicate": 1, "repeats first sentence": 1, "first sentence": 1}
    assert selector.rejects("contradiction") == {"duplicate": 5, "first sentence": 1}
    assert selector.num_accepted("neutral") == 0


def test_repeats_of_a_first_sentence_are_capped(composed: Compose) -> None:
    config = composed("curate.max_same_first=2")
    seconds = {label: [f"{label[0]}の{i}番目の犬が走る。" for i in range(4)] for label in config.task.label_names}
    selector = Selector(config.task, config.curate, 4)
    selector.advance(pairs(["犬が走る。"] * 4, seconds))
    assert selector.rejects("neutral") == {"first sentence repeated": 2}


def test_a_rejected_first_sentence_rejects_every_label(composed: Compose) -> None:
    config = composed()
    selector = Selector(config.task, config.curate, 1)
    selector.advance(pairs(["I cannot"], {}))
    assert all(selector.rejects(label) == {"first sentence": 1} for label in config.task.label_names)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [("見本の文です。", "犬が走る。", "first sentence"), ("犬が走る。", "見本の文です。", "copies an exemplar")],
)
def test_exemplars_are_not_copied(composed: Compose, first: str, second: str, reason: str) -> None:
    config = composed()
    exemplar = Example(("別の文です。", "見本の文です。"), "neutral")
    selector = Selector(config.task, config.curate, 1, [exemplar])
    selector.advance(pairs([first], {label: [second] for label in config.task.label_names}))
    assert selector.rejects("entailment") == {reason: 1}


def test_near_copies_of_exemplars_are_copies(composed: Compose) -> None:
    config = composed("task=jcola")
    shown = "彼は昨日の夕方に駅前の小さな本屋で新しい辞書を一冊買った。"
    near, other = shown.replace("一冊", "二冊"), "彼女は今朝、公園で知らない犬に声をかけた。"
    rows = Rows({("acceptable", 0, 0): Reply(near), ("unacceptable", 0, 0): Reply(other), ("acceptable", 1, 0): Reply(f"「{shown}」")})
    rows |= {("acceptable", 2, 0): Reply(shown[:14])}
    selector = Selector(config.task, config.curate, 1, [Example((shown,), "acceptable")])
    selector.advance(rows)
    assert selector.rejects("acceptable") == {"copies an exemplar": 2}
    assert selector.is_complete


def test_changes_to_accepted_replies_are_counted_by_rule_and_label(composed: Compose) -> None:
    config = composed()
    seconds = {
        "entailment": ["仮説：動物が走る。", "**動物が雪の上にいる。**"],
        "contradiction": ["仮説：犬が寝る。", "仮説：「犬は動かない。」"],
        "neutral": ["犬は白い。", "仮説：犬が走る。"],
    }
    selector = Selector(config.task, config.curate, 5)
    selector.advance(pairs(["1. 犬が走る。", "犬が走る。"], seconds))
    assert selector.rejects("neutral") == {"repeats first sentence": 1}
    assert selector.changes == {
        "list marker": {"entailment": 1, "contradiction": 1, "neutral": 1},
        "heading": {"entailment": 1, "contradiction": 2},
        "emphasis": {"entailment": 1},
        "quotes": {"contradiction": 1},
    }
