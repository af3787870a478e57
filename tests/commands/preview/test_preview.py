"""A preview: prompts as they are sent, replies judged as a run judges them, kept for the run, and projections that add up."""

import asyncio
import io
import json
import random
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from rich.console import Console

from japagen.commands.preview import preview
from japagen.commands.preview.answers import listed
from japagen.commands.preview.preview import plan_llm_part, take_number
from japagen.commands.preview.projection import Measured, Turn, print_projection, project, wilson
from japagen.config.composition import compose_config
from japagen.config.schema import Config
from japagen.errors import ConfigError, DataError
from japagen.experiments.planning import Planner, plan_experiment
from japagen.experiments.stages import fill, is_complete, llm_seconds, sessions
from japagen.llm.client import Client
from japagen.llm.endpoint import Endpoint
from japagen.prompts.verbalized import list_pattern, list_phrase
from japagen.store.locks import Lock
from japagen.store.rowsfile import StreamRows
from japagen.store.store import Store
from tests.stubs.stub_llm import Messages, StubLLM, some_text


def show(stub: StubLLM, store: Path, *overrides: str, n: int = 3) -> str:
    """What a preview prints."""
    config = config_of(stub, store, *overrides)
    console = Console(width=200, record=True, file=io.StringIO(), highlight=False)
    preview.preview(config, n, console)
    return console.export_text()


def config_of(stub: StubLLM, store: Path, *overrides: str) -> Config:
    return compose_config([*stub.overrides, f"store={store}", "synthesis.texts_per_request=2", *overrides])


def rows_of(stub: StubLLM, store: Path, *overrides: str) -> StreamRows:
    experiment = plan_llm_part(config_of(stub, store, *overrides))
    return StreamRows(Store(store).path("stream", experiment.keys["stream"]))


def every_second_is_chat(messages: Messages, seed: int) -> str:
    return "はい、以下が例文です。" if seed % 2 else some_text(seed)


def test_each_label_gets_n_replies_judged_in_words(stub_llm: StubLLM, tmp_path: Path) -> None:
    stub_llm.write = every_second_is_chat
    output = show(stub_llm, tmp_path, "task=jcola", "data=published", "data.mirror=/nowhere", n=4)
    config = config_of(stub_llm, tmp_path, "task=jcola")
    for label in config.task.labels:
        assert f"label {label.name}: 2 of 4 accepted" in output
        assert output.count(label.instruction) == 1, "the prompt as it is sent"
    assert output.count(config.task.system.splitlines()[0]) == 2, "no gold data were read, though there are none at data.mirror"
    assert output.count("preamble: chat before or around the text") == 4
    assert "はい、以下が例文です。" in output
    assert "2 of 4 replies accepted, 50% (15% to 85% fit)" in output
    assert len(rows_of(stub_llm, tmp_path, "task=jcola")) == 8
    assert len(stub_llm.bodies) == 4
    assert "cost of 300 a label: no price in the YAML" in output


@pytest.mark.parametrize("task", ["jcola", "jnli"])
def test_a_base_model_s_prompts_are_shown_as_it_continues_them(stub_llm: StubLLM, tmp_path: Path, task: str) -> None:
    output = show(stub_llm, tmp_path, f"task={task}", "llm.chat_template=plain", "shots=2", "llm.stop=['[END]']")
    assert r'a reply ends at "\n" or "[END]")' in output
    assert ("    文1：(the first sentence, as the LLM wrote it)\n    文2：" if task == "jnli" else "\n    文章：\n") in output
    assert {tuple(body["stop"]) for body in stub_llm.bodies} == {("\n", "[END]")}
    assert {len(body["messages"]) for body in stub_llm.bodies} == {1}


def test_a_second_preview_asks_only_for_what_is_missing(stub_llm: StubLLM, tmp_path: Path) -> None:
    show(stub_llm, tmp_path, "task=jcola", n=2)
    asked = len(stub_llm.bodies)
    assert "all in the store already; the LLM was not asked" in show(stub_llm, tmp_path, "task=jcola", n=2)
    assert len(stub_llm.bodies) == asked
    show(stub_llm, tmp_path, "task=jcola", n=4)
    assert len(stub_llm.bodies) == 2 * asked


def test_a_run_goes_on_from_a_preview(stub_llm: StubLLM, tmp_path: Path) -> None:
    """The same stream: its rows come first, and are asked for once."""
    show(stub_llm, tmp_path, "task=jnli", n=3)
    before = {row.position: row for row in rows_of(stub_llm, tmp_path, "task=jnli")}
    experiment = plan_llm_part(config_of(stub_llm, tmp_path, "task=jnli", "num_per_label=6"))
    store = Store(tmp_path)
    spent = llm_seconds(experiment, store)
    assert spent > 0, "what a preview took is counted in the stream's costs"

    async def run() -> None:
        async with Client(Endpoint(stub_llm.base_url), "stub") as client:
            await fill(experiment, "stream", store, client, lambda progress: None)

    asyncio.run(run())
    assert is_complete(experiment, "stream", store)
    after = {row.position: row for row in rows_of(stub_llm, tmp_path, "task=jnli")}
    assert {key: after[key] for key in before} == before
    assert sum(body["n"] for body in stub_llm.bodies) == len(after), "nothing was asked for twice"


def test_attributes_of_the_llms_own_are_named_first(stub_llm: StubLLM, tmp_path: Path) -> None:
    def write(messages: Messages, seed: int) -> str:
        if "JSON" in messages[-1]["content"]:
            return '[{"name": "話題", "values": ["旅", "料理"]}]'
        return some_text(seed)

    stub_llm.write = write
    output = show(stub_llm, tmp_path, "task=jcola", "prompt=kadg_auto", n=2)
    assert "attribute 話題: 旅, 料理" in output
    assert "話題は「旅」です。" in output or "話題は「料理」です。" in output
    asked = len(stub_llm.bodies)
    show(stub_llm, tmp_path, "task=jcola", "prompt=kadg_auto", n=2)
    assert len(stub_llm.bodies) == asked


@pytest.mark.parametrize("method", ["annotate", "prompting"])
def test_answers_are_previewed_and_kept(stub_llm: StubLLM, tmp_path: Path, method: str) -> None:
    stub_llm.write = lambda messages, seed: "容認できる" if len(stub_llm.bodies) % 2 else "さあ"
    settings = ["task=jcola", f"method={method}", "method.answer=free", "data=sample"]
    output = show(stub_llm, tmp_path, *settings, n=2)
    assert "文が日本語として容認できるかどうかを答える課題です。" in output
    assert "容認できる → acceptable" in output
    assert "さあ → no usable answer" in output
    asked = len(stub_llm.bodies)
    assert asked == 2
    assert "answers (0 new)" in show(stub_llm, tmp_path, *settings, n=2)
    assert len(stub_llm.bodies) == asked


@pytest.mark.parametrize("method", ["annotate", "japagen"])
def test_what_a_preview_paid_is_recorded_under_the_lock(
    stub_llm: StubLLM, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, locked, lock = Store(tmp_path), [], Store.lock

    def noted(store: Store, stage: str, key: str, say: Callable[[str], None] = print) -> AbstractContextManager[Lock]:
        locked.append((stage, key))
        return lock(store, stage, key, say)

    monkeypatch.setattr(Store, "lock", noted)
    settings = ["task=jcola", f"method={method}", "method.answer=free", "data=sample"]
    for num, num_sessions in ((2, 1), (2, 1), (4, 2)):
        show(stub_llm, tmp_path, *settings, n=num)
        experiment = Planner().plan(config_of(stub_llm, tmp_path, *settings), until="llm")
        (stage,) = experiment.llm_stages
        recorded = sessions(store.path(stage, experiment.keys[stage]))
        assert len(recorded) == num_sessions == locked.count(("sessions", experiment.keys[stage]))
        assert sum(session["rows"] for session in recorded) == num * (len(experiment.task.labels) if method == "japagen" else 1)
        assert llm_seconds(experiment, store) == sum(session["seconds"] for session in recorded) > 0


def test_a_preview_looks_at_no_encoder(stub_llm: StubLLM, tmp_path: Path) -> None:
    for method in ("japagen", "annotate", "prompting"):
        show(stub_llm, tmp_path, "task=jcola", f"method={method}", "method.answer=free", "model.id=./nowhere", n=2)


def test_gold_has_nothing_to_preview(stub_llm: StubLLM, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no LLM takes part"):
        show(stub_llm, tmp_path, "task=jcola", "method=gold")


def test_pairs_show_turn_one_once_and_why_a_first_sentence_fell(stub_llm: StubLLM, tmp_path: Path) -> None:
    def write(messages: Messages, seed: int) -> str:
        if messages[-1]["content"].startswith("ある画像") and seed % 2:
            return "公園の広場で子供たちが楽しそうに走り回り、その横で白い犬がのんびりと昼寝をし、遠くの池では水鳥が静かに泳いでいます。"
        return some_text(seed)

    stub_llm.write = write
    output = show(stub_llm, tmp_path, "task=jnli", n=4)
    assert output.count("ある画像に写っているものを説明する日本語の文を") == 1
    assert output.count("(the first sentence, as the LLM wrote it)") == 3
    assert "first sentence: the pair's first sentence was rejected (too long: over the task's max_chars)" in output
    assert "turn 2: mean " in output
    assert output.count("2 of 4 accepted") == 3
    later = show(stub_llm, tmp_path, "task=jnli", n=4)
    assert "(the first sentence, as the LLM wrote it)" not in later, "one that was written stands in the prompt"


def test_no_projection_where_nothing_was_accepted(stub_llm: StubLLM, tmp_path: Path) -> None:
    stub_llm.write = lambda messages, seed: "申し訳ありませんが、お答えできません。"
    output = show(stub_llm, tmp_path, "task=jcola")
    assert "refusal: the LLM declines" in output
    assert "No projection: not one reply was accepted for " in output
    assert "texts per label" not in output


def test_exemplars_are_shown_with_shots(stub_llm: StubLLM, tmp_path: Path) -> None:
    output = show(stub_llm, tmp_path, "task=jcola", "shots=1", "data=sample")
    assert output.count("assistant") == 2
    with pytest.raises(DataError, match=r"set data=files data\.train_file=FILE"):
        show(stub_llm, tmp_path, "task=jcola", "shots=1", "data=files")


def test_exemplars_are_those_of_the_run_where_train_rows_are_scored_too(stub_llm: StubLLM, tmp_path: Path) -> None:
    rows = [f"{word}が庭で遊ぶ。,{number % 2}" for number, word in enumerate(("犬", "猫", "鳥", "馬", "牛", "羊"))]
    for name, chosen in (("train", rows), ("scored", rows[:2])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["sentence,label", *chosen, ""]), encoding="utf-8")
    files = ("data=files", f"data.train_file={tmp_path}/train.csv", f"data.eval_file={tmp_path}/scored.csv")
    overrides = ("task=jcola", "shots=2", *files)
    assert "2 of 6 train rows (files: train.csv) match scored rows (files: scored.csv)" in show(stub_llm, tmp_path, *overrides)
    config = config_of(stub_llm, tmp_path, *overrides)
    assert plan_llm_part(config).keys["stream"] == plan_experiment(config).keys["stream"]


def test_servers_without_token_counts_are_told(stub_llm: StubLLM, tmp_path: Path) -> None:
    stub_llm.reports_tokens = False
    assert "the server reports no token counts" in show(stub_llm, tmp_path, "task=jcola")


def test_options_of_the_text_generation_are_shown_as_they_are_sent(stub_llm: StubLLM, tmp_path: Path) -> None:
    persons = tmp_path / "persons.txt"
    persons.write_text("小さな店の主人\n受験を控えた学生\n", encoding="utf-8")
    stub_llm.write = lambda messages, seed: json.dumps([{"text": some_text(seed + j), "probability": 0.5} for j in range(2)])
    options = (f"prompt.personas={persons}", "synthesis.verbalized=true", "synthesis.temperatures=[0.5,1.5]")
    output = show(stub_llm, tmp_path, "task=jcola", *options, n=4)
    assert "(2 texts a reply, temperatures 0.5, 1.5 in turn)" in output
    assert output.count("(persona: ") == 2
    assert output.count(list_phrase(2)) == 2
    assert output.count("4 of 4 accepted") == 2
    assert [body["n"] for body in stub_llm.bodies] == [1] * 4
    assert sorted(body["temperature"] for body in stub_llm.bodies) == [0.5, 0.5, 1.5, 1.5]
    assert all(body["structured_outputs"] == {"regex": list_pattern(2)} for body in stub_llm.bodies if "structured_outputs" in body)
    for body in stub_llm.bodies:
        assert list_phrase(2) in body["messages"][-1]["content"]


def test_a_second_turn_is_shown_with_the_first_one_that_asked_for_no_list(stub_llm: StubLLM, tmp_path: Path) -> None:
    def write(messages: Messages, seed: int) -> str:
        asks_for_list = list_phrase(2) in messages[-1]["content"]
        return json.dumps([{"text": some_text(seed + j), "probability": 0.5} for j in range(2)]) if asks_for_list else some_text(seed)

    stub_llm.write = write
    output = show(stub_llm, tmp_path, "task=jnli", "synthesis.verbalized=true", n=2)
    assert "(2 first sentences a reply)" in output
    assert output.count(list_phrase(2)) == 1, "in turn 1 only"
    assert output.count("ある画像に写っているものを説明する日本語の文を") == 4
    assert output.count("2 of 2 accepted") == 3


def test_n_is_taken_out_of_the_overrides() -> None:
    assert take_number(["task=jnli", "n=7", "num_per_label=2"]) == (7, ["task=jnli", "num_per_label=2"])
    assert take_number([]) == (5, [])
    with pytest.raises(ConfigError, match="n=many is not allowed"):
        take_number(["n=many"])


def test_projections_by_hand() -> None:
    single = Measured({"a": 10, "b": 10}, {"a": 5, "b": 10}, (Turn(20, 200, 600),), 1.0, 2.0)
    projection = project(single, 100, {"a": 0.5, "b": 1.0})
    assert (projection.replies, projection.prompt_tokens, projection.completion_tokens, projection.dearest) == (300, 3000, 9000, 200)
    assert projection.hours == pytest.approx(300 / 2 / 3600)
    pair = Measured({"a": 4, "b": 4}, {"a": 2, "b": 2}, (Turn(8, 80, 80), Turn(4, 400, 40)), 0.5, 0.0)
    two = project(pair, 10, {"a": 0.5, "b": 0.5})
    assert two.replies == 20 + 20, "20 first sentences, of which half get one second sentence for each of two labels"
    assert (two.prompt_tokens, two.completion_tokens, two.hours) == (20 * 10 + 20 * 100, 20 * 10 + 20 * 10, None)


def test_prices_and_budget_are_said(composed) -> None:  # type: ignore[no-untyped-def]
    config = composed("num_per_label=100000", "llm.price_per_gpu_hour=2.0", "llm.gpus=4", "llm.price_per_million_tokens=0.5")
    console = Console(width=200, record=True, file=io.StringIO(), highlight=False)
    print_projection(config, Measured({"a": 10, "b": 10}, {"a": 1, "b": 10}, (Turn(20, 2000, 2000),), 1.0, 100.0), console)
    output = console.export_text()
    low = wilson(1, 10)[0]
    hours = (100_000 / low + 100_000 / wilson(10, 10)[0]) / 100 / 3600
    assert f"at most {hours * 4 * 2:,.2f} by llm.price_per_gpu_hour=2" in output
    assert "by llm.price_per_million_tokens=0.5" in output
    config.llm.price_per_million_completion_tokens = 3.0
    print_projection(config, Measured({"a": 10, "b": 10}, {"a": 1, "b": 10}, (Turn(20, 2000, 2000),), 1.0, 100.0), console)
    least = 100_000 / wilson(1, 10)[1] + 100_000 / wilson(10, 10)[1]
    assert f"{least * (100 * 0.5 + 100 * 3) / 1e6:,.2f} to " in (output := console.export_text())
    assert "by llm.price_per_million_tokens=0.5 and llm.price_per_million_completion_tokens=3" in output
    assert "100,000 a label may stop early" in output
    assert "25,000" in output
    assert "not timed" not in output


def test_77_labels_are_shown_in_short(stub_llm: StubLLM, tmp_path: Path) -> None:
    words = ["apple", "river", "stone", "cloud", "paper", "green", "train", "bread", "music", "table", "horse", "ocean", "silver", "lemon"]

    def write(messages: Messages, seed: int) -> str:
        drawn = random.Random(f"{messages[-1]['content']} {seed}").sample(words, 8)
        return f"When will the {' '.join(drawn)} reach my account, please?"

    stub_llm.write = write
    output = show(stub_llm, tmp_path, "task=banking77", "llm.demo=false", n=2)
    task = config_of(stub_llm, tmp_path, "task=banking77").task
    assert output.count(task.system.splitlines()[0]) == 2, "the rest is the same again"
    assert all(output.count(label.instruction) == 1 for label in task.labels)
    assert "75 more labels" in output
    assert len(re.findall(r"^label \S+: \d of 2 accepted", output, re.MULTILINE)) == 77
    assert len(re.findall(r"^label .* fit\)", output, re.MULTILINE)) == 5
    assert re.search(r"^all 77 labels: 1\d\d of 154 replies accepted; those with the lowest shares:", output, re.MULTILINE)


def test_many_probabilities_are_shortened() -> None:
    probs = {f"label {number}": (number + 1) / 3003 for number in range(77)}
    assert listed(probs) == "label 76 0.03, label 75 0.03, label 74 0.02, label 73 0.02, label 72 0.02, 72 others"
    assert listed({"a": 0.25, "b": 0.75}) == "a 0.25, b 0.75"


@pytest.mark.parametrize(("task", "lines"), [("jcola", 1), ("jnli", 1)])
def test_cut_replies_are_warned_of(stub_llm: StubLLM, tmp_path: Path, task: str, lines: int) -> None:
    assert "were cut at" not in show(stub_llm, tmp_path / "whole", f"task={task}")
    stub_llm.finish_reason = "length"
    output = show(stub_llm, tmp_path / "cut", f"task={task}", "llm.sampling.max_tokens=null")
    longest = round(1.2 * config_of(stub_llm, tmp_path, f"task={task}").task.max_chars) + 32
    assert output.count(f"replies were cut at llm.sampling.max_tokens={longest}") == lines
    assert "100% of" in output


def test_accepted_texts_are_held_against_their_labels_descriptions(stub_llm: StubLLM, tmp_path: Path) -> None:
    toy = show(stub_llm, tmp_path, "task=jcola")
    assert "not done: model=demo is a toy" in toy
    found = show(stub_llm, tmp_path, "task=jcola", "model.demo=false", "device=cpu")
    assert "share of accepted texts whose nearest label description is their label's, by demo without training" in found
    weakest = re.search(r"weakest: (\w+), (\d) of (\d) texts agree; .*curate\.judging=drop", found)
    assert weakest is not None
    assert weakest[1] in ("acceptable", "unacceptable")
    absent = show(stub_llm, tmp_path, "task=jcola", "model=ruri-v3-30m")
    assert "not done: model=ruri-v3-30m isn't on this machine" in absent
    assert "japagen fetch model=ruri-v3-30m" in absent
    assert "descriptions" not in show(stub_llm, tmp_path, "task=jnli"), "a pair's label is a relation"
