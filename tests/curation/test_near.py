"""Near duplicates: what counts as one, that the first stays, and that exact comparison agrees with the index."""

import random

import pytest

from japagen.curation.near import NearDuplicates
from japagen.curation.select import Selector
from tests.conftest import Compose
from tests.curation.test_select import Reply, Rows


def similarity(text: str, other: str) -> float:
    grams, others = ({one[start : start + 3] for start in range(len(one) - 2)} for one in (text, other))
    return len(grams & others) / len(grams | others)


@pytest.mark.parametrize(
    ("text", "is_new"),
    [
        ("駅前の広場で三人の男性が楽器を弾きながら歌を歌っています。", False),
        ("駅前の広場で三人の男性が楽器を弾きながら歌を歌っている。", False),
        ("駅前の広場で二人の女性が踊っています。", True),
        ("猫", True),
    ],
)
def test_texts_that_differ_little_count_as_one(text: str, is_new: bool) -> None:
    near = NearDuplicates(0.8)
    assert near.takes("駅前の広場で三人の男性が楽器を弾きながら歌を歌っています。")
    assert near.takes(text) == is_new


def test_the_index_finds_what_comparing_all_pairs_finds() -> None:
    rng = random.Random(0)
    base = ["".join(rng.choices("あいうえおかきくけこ犬猫山川", k=60)) for _ in range(150)]
    texts = [*base, *("".join(rng.choice("xyz") if rng.random() < 0.04 else one for one in text) for text in base)]
    near, taken = NearDuplicates(0.7), []
    expected = []
    for text in texts:
        is_new = all(similarity(text, other) < 0.7 for other in taken)
        if is_new:
            taken.append(text)
        expected.append(is_new)
    found = [near.takes(text) for text in texts]
    num_near = expected.count(False)
    assert num_near > 50
    assert sum(a != b for a, b in zip(found, expected, strict=True)) <= 0.15 * num_near  # LSH misses some close to the threshold


def test_near_duplicates_count_within_a_label_only_and_can_be_kept(composed: Compose) -> None:
    good, other = "昨日は友だちと近所の公園まで歩いて行きました。", "昨日は友だちと近所の公園をまで歩いて行きました。"
    rows = Rows({("acceptable", 0, 0): Reply(good), ("unacceptable", 0, 0): Reply(other)})
    rows |= {("acceptable", 1, 0): Reply(good.replace("昨日", "今日")), ("unacceptable", 1, 0): Reply("猫が走るを。")}
    for setting, accepted in (("0.8", 3), ("null", 4)):
        config = composed("task=jcola", f"curate.near_duplicates={setting}")
        selector = Selector(config.task, config.curate, 2)
        selector.advance(rows)
        assert len(selector.accepted) == accepted
        assert selector.rejects("acceptable")["near duplicate"] == 4 - accepted
