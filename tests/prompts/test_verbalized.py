"""A reply that lists its texts: what is read of it, however it was written or cut."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.prompts.verbalized import Listed, list_pattern, list_phrase, read_list

TEXTS = ["犬が走る。", "猫が眠る。", "鳥が鳴く。"]


def as_json(texts: list[str]) -> str:
    return json.dumps([{"text": text, "probability": 0.25} for text in texts], ensure_ascii=False)


def texts_of(found: list[Listed]) -> list[str]:
    return [one.text for one in found]


@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=6), ascii_only=st.booleans())
def test_a_list_in_json_comes_back_text_by_text(texts: list[str], ascii_only: bool) -> None:
    reply = json.dumps([{"text": text, "probability": 1 / (i + 1)} for i, text in enumerate(texts)], ensure_ascii=ascii_only)
    found = read_list(reply, "stop", 6)
    assert len(found) == 6
    if texts:
        assert texts_of(found) == texts + [""] * (6 - len(texts))
        assert [one.attributes for one in found[: len(texts)]] == [{"probability": f"{1 / (i + 1):g}"} for i in range(len(texts))]
    assert [one.finish_reason for one in found] == ["stop"] * len(texts) + ["unlisted"] * (6 - len(texts))


@given(reply=st.text(st.sampled_from('[{"text:,}]\\u0d81. \n犬'), max_size=60), reason=st.sampled_from(["stop", "length", "error"]))
def test_whatever_is_written_gives_as_many_texts_as_were_asked_for(reply: str, reason: str) -> None:
    found = read_list(reply, reason, 3)
    assert len(found) == 3
    assert all(one.text.encode() is not None for one in found)


@pytest.mark.parametrize(
    "reply",
    [
        as_json(TEXTS),
        f"```json\n{as_json(TEXTS)}\n```",
        f'以下に示します。\n{{"responses": {as_json(TEXTS)}}}',
        "\n".join(json.dumps({"text": text, "probability": 0.25}) for text in TEXTS),
        "1. 犬が走る。 (0.25)\n2. 猫が眠る。（確率: 0.25）\n3. 鳥が鳴く。[probability: 0.25]",
        "次のとおりです。\n\n1）犬が走る。(.25)\n\n2）猫が眠る。(.25)\n\n3）鳥が鳴く。(.25)\n",
    ],
)
def test_forms_that_are_understood(reply: str) -> None:
    assert read_list(reply, "stop", 3) == [Listed(text, attributes={"probability": "0.25"}) for text in TEXTS]


def test_numbered_lines_need_no_probability_and_may_go_on() -> None:
    found = read_list("(1) 見出し\n本文です。\n(2) 猫が眠る。\n3匹の犬。", "stop", 3)
    assert found == [Listed("見出し\n本文です。"), Listed("猫が眠る。\n3匹の犬。"), Listed("", "unlisted")]


@given(end=st.integers(0, len(as_json(TEXTS)) - 1))
def test_of_a_reply_that_was_cut_off_the_whole_texts_count(end: int) -> None:
    reply = as_json(TEXTS)[:end]
    whole = reply.count("}")
    found = read_list(reply, "length", 3)
    assert [one.finish_reason for one in found] == ["stop"] * whole + ["length"] * (3 - whole)
    assert texts_of(found)[:whole] == TEXTS[:whole]
    assert texts_of(found)[whole:] == ([""] * (3 - whole) if whole else [reply, "", ""])


def test_of_cut_lines_the_last_does_not_count() -> None:
    found = read_list("1. 犬が走る。\n2. 猫が眠る。\n3. 鳥が", "length", 4)
    assert found == [Listed("犬が走る。"), Listed("猫が眠る。"), Listed("", "length"), Listed("", "length")]


def test_what_is_no_list_is_kept_and_counts_as_none() -> None:
    assert read_list("犬が走る。", "stop", 2) == [Listed("犬が走る。", "unlisted"), Listed("", "unlisted")]
    assert read_list("", "error", 2) == [Listed("", "error")] * 2


def test_more_than_asked_for_are_left() -> None:
    assert texts_of(read_list(as_json(TEXTS), "stop", 2)) == TEXTS[:2]


@pytest.mark.parametrize("said", ['"high"', "null", "NaN", "[1]", "1e999"])
def test_a_probability_that_is_none_is_left_out(said: str) -> None:
    assert read_list(f'[{{"text": "犬が走る。", "probability": {said}}}]', "stop", 1) == [Listed("犬が走る。")]


def test_half_a_character_is_replaced() -> None:
    assert read_list('[{"text": "犬\\ud83d", "probability": 1}]', "stop", 1)[0].text == "犬?"


def test_nesting_without_end_is_no_list() -> None:
    reply = '{"text":' * 100_000
    assert read_list(reply, "length", 1)[0].finish_reason == "length"


@pytest.mark.parametrize("indent", [None, 1, 2])
@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1), min_size=1, max_size=4))
def test_the_pattern_is_that_of_a_list_of_so_many(texts: list[str], indent: int | None) -> None:
    reply = json.dumps([{"text": text, "probability": 0.25} for text in texts], ensure_ascii=False, indent=indent)
    for num in (1, 2, 3, 4):
        assert bool(re.fullmatch(list_pattern(num), reply)) == (num == len(texts))


@pytest.mark.parametrize(
    "reply",
    ['[{"text": "犬", "probability": 2}]', '[{"text": "", "probability": 0.5}]', '[\n\n\n\n\n\n{"text": "犬", "probability": 0.5}]', "犬"],
)
def test_what_the_pattern_keeps_out(reply: str) -> None:
    assert not re.fullmatch(list_pattern(1), reply)


def test_the_number_asked_for_is_named() -> None:
    assert list_phrase(5).count("5個") == 2
