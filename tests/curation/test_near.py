"""Near duplicates: what counts as one, that the first stays, and that exact comparison agrees with the index."""

import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given
from hypothesis import strategies as st

from japagen.config.schema import Config
from japagen.curation.dataset import make_dataset, selected_examples, write_dataset
from japagen.curation.near import Index, NearDuplicates, NearTexts
from japagen.curation.select import Selector
from japagen.prompts.replies import Reject, clean_reply, normalise
from tests.conftest import Compose
from tests.stubs.stream_rows import Reply, Rows


def grams_of(text: str) -> set[str]:
    """A pair's texts stand with a unit separator between them; grams of the second differ from the first's."""
    return {"\x1f" * place + part[at : at + 3] for place, part in enumerate(text.split("\x1f")) for at in range(max(1, len(part) - 2))}


def similarity(text: str, other: str) -> float:
    grams, others = grams_of(text), grams_of(other)
    return len(grams & others) / len(grams | others)


class Reference:
    """NearDuplicates as simply as datasketch allows."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.index = MinHashLSH(threshold=threshold, num_perm=64, weights=(0.2, 0.8))
        self.taken: list[str] = []

    def takes(self, text: str) -> bool:
        signature = MinHash(num_perm=64, seed=1)
        for gram in grams_of(text):
            signature.update(gram.encode())
        if any(similarity(text, self.taken[place]) >= self.threshold for place in self.index.query(signature)):
            return False
        self.index.insert(len(self.taken), signature)
        self.taken.append(text)
        return True


def make_texts(num: int, alphabet: str, share: float, seed: int = 0) -> list[str]:
    """`num` random texts, each followed sooner or later by one in which that share of characters is another."""
    rng = random.Random(seed)
    base = ["".join(rng.choices(alphabet, k=rng.randrange(1, 60))) for _ in range(num)]
    texts = [*base, *("".join(rng.choice("xyz") if rng.random() < share else one for one in text) for text in base)]
    rng.shuffle(texts)
    return texts


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


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 0.98])
@pytest.mark.parametrize(("alphabet", "share"), [("あいうえおかきくけこ犬猫山川", 0.03), ("あい", 0.1)])
def test_near_duplicates_are_those_that_datasketch_finds(threshold: float, alphabet: str, share: float) -> None:
    texts = make_texts(300, alphabet, share)
    near, reference = NearDuplicates(threshold), Reference(threshold)
    assert [near.takes(text) for text in texts] == [reference.takes(text) for text in texts]


def test_what_is_found_does_not_depend_on_the_hashes_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = make_texts(60, "あいうえおかきくけこ犬猫山川", 0.03)
    expected = NearDuplicates(0.7)
    decisions = [expected.takes(text) for text in texts]
    monkeypatch.setattr("japagen.curation.near._MOST_GRAMS", 10)
    near = NearDuplicates(0.7)
    assert [near.takes(text) for text in texts] == decisions
    assert False in decisions


def test_a_pair_and_its_reverse_are_two_texts() -> None:
    first, second = "駅前の広場で男性が楽器を弾いています。", "広場で演奏する人がいます。"
    near = NearDuplicates(0.8)
    assert near.takes(first, second)
    assert near.takes(second, first)
    assert not near.takes(first, second + "ね")
    assert not near.takes(second, first)
    assert near.takes(first, first)


@pytest.mark.parametrize("num_keys", [1, 700, 1 << 60])
def test_the_index_finds_all_texts_with_a_key_however_often_it_has_grown(num_keys: int) -> None:
    rng, index, num_bands = random.Random(0), Index(3), 3
    texts: dict[tuple[int, int], set[int]] = {}
    for number in range(100 if num_keys == 1 else 5_000):
        keys = [rng.randrange(num_keys) for _ in range(num_bands)]
        expected = set().union(*(texts.get(key, set()) for key in enumerate(keys)))
        assert index.find(keys) == expected
        index.add(keys)
        for key in enumerate(keys):
            texts.setdefault(key, set()).add(number)


@given(st.lists(st.text(alphabet="あいう。", max_size=8), max_size=30), st.sampled_from([0.05, 0.5, 0.8, 0.99, 1.0]))
def test_what_is_dropped_is_similar_to_one_taken_before(texts: list[str], threshold: float) -> None:
    near = NearDuplicates(threshold)
    taken: list[str] = []
    for text in texts:
        highest = max((similarity(text, other) for other in taken), default=0.0)
        if near.takes(text):
            assert highest < 1, "of texts with the same grams one is taken, whatever the index"
            taken.append(text)
        else:
            assert highest >= threshold


@dataclass
class Outcome:
    """What a selection came to."""

    accepted: list[tuple[str, int, tuple[str, ...]]]
    counts: dict[str, Counter[str]]


def select_simply(config: Config, rows: Rows, num: int, num_per_label: int) -> Outcome:
    """The selection of `num` rows a label, one after the other, by comparing with all that was taken before."""
    task, outcome = config.task, Outcome([], {name: Counter() for name in config.task.label_names})
    near = {name: Reference(config.curate.near_duplicates or 0) for name in task.label_names}
    seen: list[tuple[str, tuple[str, ...]]] = []
    for index, label in ((index, label) for index in range(num) for label in task.label_names):
        own = [one for one in outcome.accepted if one[0] == label]
        if len(own) == num_per_label:
            continue
        places = [("", index, 0), (label, index, 1)] if task.is_pair else [(label, index, 0)]
        cleaned = [clean_reply(task, reply.text, reply.finish_reason) for reply in (rows[place] for place in places)]
        refused = [(turn, one) for turn, one in enumerate(cleaned) if isinstance(one, Reject)]
        texts = tuple(one for one in cleaned if isinstance(one, str))
        compared = tuple(normalise(text) for text in texts)
        if refused:
            reason = "first sentence" if task.is_pair and refused[0][0] == 0 else refused[0][1].reason
        elif task.is_pair and compared[0] == compared[1]:
            reason = "repeats first sentence"
        elif task.is_pair and [normalise(one[2][0]) for one in own].count(compared[0]) == config.curate.max_same_first:
            reason = "first sentence repeated"
        elif (label, compared) in seen:
            reason = "duplicate"
        else:
            seen.append((label, compared))
            reason = "" if near[label].takes("\x1f".join(compared)) else "near duplicate"
        if reason:
            outcome.counts[label][reason] += 1
        else:
            outcome.accepted.append((label, index, texts))
    return outcome


@pytest.mark.parametrize("task", ["jcola", "jnli"])
@pytest.mark.parametrize("seed", range(4))
def test_selection_equals_a_simple_one_however_rows_arrive(composed: Compose, tmp_path: Path, task: str, seed: int) -> None:
    config, num, rng = composed(f"task={task}", "curate.max_same_first=2", "curate.near_duplicates=0.6"), 120, random.Random(seed)
    words = ["昨日は", "駅の", "友だちが", "小さな", "犬を", "ゆっくり", "見ていた", "橋の上で", "本を読んで", "いました"]
    made = ["".join(rng.choices(words, k=rng.randrange(5, 8))) + "。" for _ in range(12 if config.task.is_pair else 60)]
    made += [text.replace("は", "も", 1).replace("の", "へ", 1) for text in made] + [f"「{text}」" for text in made]
    pool = [Reply(text) for text in made] + [Reply("短"), Reply("I cannot"), Reply("", "error"), Reply("はい、承知しました。犬です。")]
    turns = (
        [("", 0), *((name, 1) for name in config.task.label_names)] if config.task.is_pair else [(n, 0) for n in config.task.label_names]
    )
    rows = Rows({(label, index, turn): rng.choice(pool) for index in range(num) for label, turn in turns})
    for num_per_label in (20, num):
        expected = select_simply(config, rows, num, num_per_label)
        at_once, in_parts = (Selector(config.task, config.curate, num_per_label) for _ in range(2))
        at_once.advance(rows)
        places, arrived = list(rows), Rows()
        rng.shuffle(places)
        for start in range(0, len(places), 7):
            arrived.update({place: rows[place] for place in places[start : start + 7]})
            in_parts.advance(arrived)
        for selector in (at_once, in_parts):
            assert [(one.label, one.index, one.texts) for one in selector.accepted] == expected.accepted
            assert selector.counts == expected.counts
        for name, selector in (("once", at_once), ("parts", in_parts)):
            folder = tmp_path / f"{name}-{num_per_label}"
            folder.mkdir()
            dataset = make_dataset(config.task, selected_examples(config.task, selector), selector.counts, selector.rejected, None)
            write_dataset(config.task, dataset, folder, "card")
        for path in folder.iterdir():
            assert path.read_bytes() == (tmp_path / f"once-{num_per_label}" / path.name).read_bytes()
    assert {"duplicate", "near duplicate"} <= {reason for counts in expected.counts.values() for reason in counts}


@given(
    st.lists(st.text(alphabet="犬猫が走る寝", min_size=1, max_size=12), max_size=6),
    st.text(alphabet="犬猫が走る寝", min_size=1, max_size=12),
)
def test_a_text_near_one_of_some_is_found_exactly(texts: list[str], text: str) -> None:
    assert NearTexts(texts, 0.8).holds(text) == any(similarity(text, one) >= 0.8 for one in texts)
