"""Prompts: what prompt=kadg adds for each task, and that prompt=base is untouched by it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from japagen.errors import ConfigError
from japagen.experiments.planning import plan_experiment
from japagen.prompts.writing import Prompting, first_messages, messages, wordings
from japagen.synthesis.generate import rows_of
from japagen.synthesis.stream import Stream
from japagen.tasks import Attribute, Label, Task, check_task, check_variants
from tests.conftest import Compose, load_task

TASKS = ("marcja", "jsts", "jnli", "jcola", "news", "covid19", "jcm")
VALUES = {"marcja": 11, "jsts": 9, "jnli": 9, "jcola": 8, "covid19": 6}
"""Values of each task's attribute, as in the paper's design; news has described labels instead."""


def kadg(name: str, texts_per_request: int = 4, key: str = "key") -> Stream:
    task = load_task(name)
    return Stream(key, task, Prompting(knowledge=True), {}, texts_per_request, attributes=task.attributes)


@pytest.mark.parametrize("name", [name for name in TASKS if name != "jcm"])
def test_the_attributes_are_those_of_the_paper_s_design(name: str) -> None:
    task = load_task(name)
    assert {len(attribute.values) for attribute in task.attributes} == ({VALUES[name]} if name in VALUES else set())
    assert all(bool(label.described) == (name == "news") for label in task.labels)


@pytest.mark.parametrize("name", sorted(VALUES))
def test_values_are_drawn_evenly_and_stand_in_the_prompt(name: str) -> None:
    stream = kadg(name)
    attribute = stream.task.attributes[0]
    label = "" if stream.task.is_pair else stream.task.labels[0].name
    asks = [stream.ask(label, 4 * request) for request in range(3 * len(attribute.values))]
    assert Counter(ask.attributes[attribute.name] for ask in asks) == dict.fromkeys(attribute.values, 3)
    for ask in asks:
        assert ask.messages[-1]["content"].endswith("\n" + attribute.phrase.replace("{value}", ask.attributes[attribute.name]))
    assert [ask.attributes for ask in asks] == [kadg(name).ask(label, 4 * request).attributes for request in range(len(asks))]


def test_the_order_of_values_is_the_seed_s() -> None:
    orders = [[kadg("marcja", 1, key).ask("positive", i).attributes["genre"] for i in range(11)] for key in ("a", "b")]
    assert orders[0] != orders[1]


def test_a_pair_s_second_turn_repeats_the_first_one_s_request() -> None:
    stream = kadg("jnli")
    opening = stream.ask("", 6)
    for label in stream.task.labels:
        second = stream.second_ask(label.name, 6, "犬が走る。")
        assert second.messages[:2] == opening.messages
        assert second.attributes == opening.attributes


def test_exemplars_are_turns_that_went_before() -> None:
    task = load_task("jcola")
    label, phrase = task.labels[1], "動物の文です。"
    system, *turns = messages(task, Prompting(), label, [("犬が走るた。",), ("猫を寝る。",)], phrases=[phrase])
    assert system == {"role": "system", "content": task.system}
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "assistant", "user"]
    asked = label.instruction
    assert [turn["content"] for turn in turns] == [asked, "犬が走るた。", asked, "猫を寝る。", f"{asked}\n{phrase}"]


def test_a_pair_s_exemplars_are_both_of_its_turns() -> None:
    task = load_task("jnli")
    label, phrase = task.labels[0], "動物の画像です。"
    chat = messages(task, Prompting(system_role=False), label, [("犬が走る。", "動物がいる。")], "猫が寝る。", [phrase])
    asked, first = label.instruction, task.first_instruction
    contents = [f"{task.system}\n\n{first}", "犬が走る。", asked, "動物がいる。", f"{first}\n{phrase}", "猫が寝る。", asked]
    assert [turn["content"] for turn in chat] == contents
    assert [turn["role"] for turn in chat] == ["user", "assistant"] * 3 + ["user"]
    opening = first_messages(task, Prompting(), ["犬が走る。"], [phrase])
    assert [turn["content"] for turn in opening] == [task.system, first, "犬が走る。", f"{first}\n{phrase}"]


def test_grammatical_targets_are_the_label_s_own() -> None:
    stream = kadg("jcola")
    assert [stream.ask(label, 0).attributes.keys() for label in stream.task.label_names] == [{"grammar"}, {"error"}]
    assert "文法上の誤りがある文" in stream.ask("unacceptable", 0).messages[-1]["content"]


def test_unrelated_tweets_have_no_topic() -> None:
    stream = kadg("covid19")
    assert stream.ask("unrelated", 0).attributes == {}
    assert stream.ask("fact", 0).attributes.keys() == {"topic"}


def test_news_labels_are_described_instead_of_named() -> None:
    task = load_task("news")
    for label in task.labels:
        base, described = (messages(task, Prompting(knowledge=k), label)[-1]["content"] for k in (False, True))
        assert label.word in base
        assert all(other.word not in described for other in task.labels)


@pytest.mark.parametrize("name", TASKS)
def test_base_draws_nothing(name: str) -> None:
    stream = Stream("key", load_task(name), Prompting(), {}, 4)
    ask = stream.ask("" if stream.task.is_pair else stream.task.labels[0].name, 0)
    assert ask.attributes == {}
    assert all(attribute.name not in message["content"] for attribute in stream.task.attributes for message in ask.messages)


def test_rows_record_what_was_drawn() -> None:
    from japagen.llm.client import Completion, Reply

    ask = kadg("marcja").ask("negative", 8)
    rows = rows_of(ask, Reply(tuple(Completion("すぐに壊れました。", "stop") for _ in range(4)), 10, 40))
    assert [row.attributes for row in rows] == [ask.attributes] * 4


def test_kadg_needs_knowledge(composed: Compose) -> None:
    with pytest.raises(ConfigError, match="prompt=kadg needs the task's knowledge, and task 'jnli' names none"):
        composed("prompt=kadg", "task.attributes=[]")


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        (Attribute("genre", ["本"], "「{value}」です。"), "attributes.genre.values must be two or more different values"),
        (Attribute("genre", ["本", "本"], "「{value}」です。"), "must be two or more different values"),
        (Attribute("genre", ["本", "傘"], "本です。"), "must hold {value}"),
        (Attribute("genre", ["本", "傘"], "「{value}」です。", ["positiv"]), "did you mean 'positive'"),
    ],
)
def test_attributes_are_checked(attribute: Attribute, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_task(replace(load_task("marcja"), attributes=[attribute]))


@pytest.mark.parametrize("name", ["persona", "style", "wording", "probability"])
def test_attributes_have_names_of_their_own(name: str) -> None:
    task = load_task("marcja")
    with pytest.raises(ConfigError, match=f"attributes.{name} must have a name of its own"):
        check_task(replace(task, attributes=[Attribute(name, ["本", "傘"], "「{value}」です。")]))
    with pytest.raises(ConfigError, match=r"attributes\.genre must have a name of its own"):
        check_task(replace(task, attributes=task.attributes * 2))


def with_variants(name: str, *variants: str) -> Task:
    """The task, its first label with other wordings."""
    task = load_task(name)
    return replace(task, labels=[replace(label, variants=list(variants) if label is task.labels[0] else []) for label in task.labels])


def test_wordings_come_in_turn_evenly_and_are_recorded() -> None:
    task = with_variants("jcola", "正しい文を書いてください。", "自然な文をお願いします。")
    stream = Stream("key", task, Prompting(), {}, 4, variants=True)
    label = task.labels[0]
    asks = [stream.ask(label.name, 4 * request) for request in range(9)]
    assert Counter(ask.attributes["wording"] for ask in asks) == {"1": 3, "2": 3, "3": 3}
    for ask in asks:
        assert ask.messages[-1]["content"] == [label.instruction, *label.variants][int(ask.attributes["wording"]) - 1]
    for start in (0, 3, 6):
        assert len({ask.attributes["wording"] for ask in asks[start : start + 3]}) == 3, "of every three requests each wording once"
    other = stream.ask(task.labels[1].name, 0)
    assert (other.attributes, other.messages[-1]["content"]) == ({}, task.labels[1].instruction), "a label with one wording"
    assert Stream("key", task, Prompting(), {}, 4).ask(label.name, 0).attributes == {}, "off"


def test_a_pair_s_wordings_are_its_second_turn_s_and_change_no_first_one() -> None:
    task = with_variants("jnli", "その文から必ず言える文を書いてください。")
    stream, plain = (Stream("key", task, Prompting(), {}, 4, variants=variants) for variants in (True, False))
    name = task.labels[0].name
    asks = [stream.second_ask(name, index, "犬が走る。") for index in range(6)]
    for first, second in zip(asks[::2], asks[1::2], strict=True):
        assert {first.attributes["wording"], second.attributes["wording"]} == {"1", "2"}
    assert stream.ask("", 0) == plain.ask("", 0)
    assert all(ask.messages[:2] == stream.ask("", 0).messages for ask in asks)


def test_variants_stand_beside_the_instruction_in_use() -> None:
    label = Label("a", "甲を書いてください。", "知識で甲を書いてください。", ["甲をお願いします。"])
    assert wordings(label, Prompting()) == ["甲を書いてください。", "甲をお願いします。"]
    assert wordings(label, Prompting(knowledge=True)) == ["知識で甲を書いてください。", "甲をお願いします。"]


def test_variants_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"prompt\.variants=true needs other wordings, and task 'jcola' has none"):
        check_variants(with_variants("jcola"))
    check_variants(with_variants("jcola", "正しい文を書いてください。"))
    instruction = load_task("jcola").labels[0].instruction
    for variants in (["書いて。", "書いて。 "], [instruction], [" "]):
        with pytest.raises(ConfigError, match=r"labels\.acceptable\.variants must be texts that differ"):
            check_task(with_variants("jcola", *variants))


PERSONS = Attribute("persona", ["小さな店の主人", "受験を控えた学生", "退職した教師"], "次の人として: {value}")


@pytest.mark.parametrize("name", ["marcja", "jnli"])
@pytest.mark.parametrize("knowledge", [True, False])
def test_persons_are_drawn_like_attributes_with_and_without_knowledge(name: str, knowledge: bool) -> None:
    task = load_task(name)
    attributes = [*(task.attributes if knowledge else []), PERSONS]
    stream = Stream("key", task, Prompting(knowledge=knowledge), {}, 2, attributes=attributes)
    label = "" if task.is_pair else task.labels[0].name
    asks = [stream.ask(label, 2 * request) for request in range(6)]
    assert Counter(ask.attributes["persona"] for ask in asks) == dict.fromkeys(PERSONS.values, 2)
    assert all(ask.messages[-1]["content"].endswith(f"\n次の人として: {ask.attributes['persona']}") for ask in asks)
    assert all(len(ask.attributes) == len(attributes) for ask in asks)
    if task.is_pair:
        second = stream.second_ask(task.labels[0].name, 3, "犬が走る。")
        assert second.attributes == asks[1].attributes
        assert second.messages[:2] == asks[1].messages
        assert PERSONS.phrase[:4] not in second.messages[-1]["content"], "it belongs to the first sentence"


def test_the_longest_prompts_hold_the_longest_of_everything() -> None:
    long = "とても長い" * 9
    for name in ("marcja", "jnli"):
        task = with_variants(name, "短い指示。", "長い指示。" * 30)
        attributes = [Attribute("genre", ["本", long], "「{value}」です。")]
        stream = Stream("key", task, Prompting(), {}, 2, attributes=attributes, variants=True)
        opening, *_ = stream.longest_prompts(0)
        assert f"「{long}」です。" in opening[-1]["content"]
        last = stream.longest_prompts(task.num_turns - 1)
        assert len(last) == len(task.labels)
        assert "長い指示。" * 30 in last[0][-1]["content"]
        if task.is_pair:
            assert last[0][:2] == opening
            assert last[0][2]["content"] == "あ" * task.max_chars


def test_an_experiment_s_options_reach_its_requests(composed: Compose, tmp_path: Path) -> None:
    persons = tmp_path / "persons.txt"
    persons.write_text("小さな店の主人\n受験を控えた学生\n", encoding="utf-8")
    for prompt, names in (("base", {"persona"}), ("kadg", {"genre", "persona"})):
        options = (
            f"prompt.personas={persons}",
            "synthesis.temperatures=[0.5]",
            "synthesis.verbalized=true",
            "synthesis.texts_per_request=4",
            "data=files",
        )
        experiment = plan_experiment(composed("task=marcja", f"prompt={prompt}", *options))
        ask = experiment.stream.ask("positive", 0)
        assert (ask.attributes.keys(), ask.temperature, ask.verbalized) == (names, 0.5, True)
        plain = plan_experiment(composed("task=marcja", f"prompt={prompt}", "data=files"))
        assert not plain.keys.items() & experiment.keys.items()
    before = experiment.keys["stream"]
    persons.write_text("小さな店の主人\n退職した教師\n", encoding="utf-8")
    config = composed("task=marcja", "prompt=kadg", *options)
    assert plan_experiment(config).keys["stream"] != before, "persons are read anew"
    config.task.labels[0].variants = ["よかった品の感想をお願いします。"]
    config.prompt.variants = True
    assert "wording" in plan_experiment(config).stream.ask(config.task.labels[0].name, 0).attributes


def test_a_list_needs_room_for_all_its_texts(composed: Compose) -> None:
    fits = ("task=jcola", "llm.sampling.max_tokens=100", "llm.max_model_len=512")
    plan_experiment(composed(*fits))
    plan_experiment(composed(*fits, "synthesis.verbalized=true", "synthesis.texts_per_request=2"))
    with pytest.raises(ConfigError, match=r"llm\.max_model_len=512 is too small"):
        plan_experiment(composed(*fits, "synthesis.verbalized=true"))
