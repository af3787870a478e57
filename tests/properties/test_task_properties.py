"""Tasks of users, right and wrong: refused by name, or usable for all that is done with a task."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from japagen.config.composition import compose_config
from japagen.config.explain import explain
from japagen.config.schema import Curate, Data
from japagen.curation.dataset import Dataset, dataset_card, read_examples, write_examples
from japagen.curation.licenses import LicensedSource
from japagen.curation.select import Selector
from japagen.curation.stored_task import TASK_FILE, read_task, write_task
from japagen.errors import ConfigError, StoreError
from japagen.gold import read_eval
from japagen.prompts.questions import attribute_questions, channel_question, label_question, read_answer
from japagen.prompts.replies import clean_reply
from japagen.prompts.writing import Prompting
from japagen.store.rowsfile import StreamRow
from japagen.synthesis.stream import Stream
from japagen.tasks import Attribute, Example, Label, Task, check_task
from tests.conftest import ROOT
from tests.properties.hostile import SHIPPED, TASKS, few, misshapen, spoilt, texts, tried

names = st.one_of(texts, st.sampled_from(["a", "b", "text", "label", "id", "weight", "label_probs", "x/y", "..", "A"]))
labels = st.builds(Label, names, texts, texts, st.lists(texts, max_size=2), texts, texts, st.one_of(st.none(), st.floats(0, 5)))
attributes = st.builds(
    Attribute, names, st.lists(texts, max_size=3), st.one_of(texts, texts.map("{}{{value}}".format)), st.lists(names, max_size=1)
)
own_tasks = st.builds(
    Task,
    name=st.one_of(st.just("own"), names), kind=st.sampled_from(["single", "pair"]),
    target=st.sampled_from(["classification", "regression"]), metric=st.sampled_from(["accuracy", "spearman"]),
    max_chars=st.integers(0, 300), min_chars=st.integers(0, 3), gold_chars=st.one_of(st.none(), st.integers(0, 50)),
    language=st.sampled_from(["ja", ""]), fields=st.lists(names, min_size=1, max_size=2), label_field=names,
    system=texts, question=texts, first_instruction=texts, labels=st.lists(labels, max_size=3),
    attributes=st.lists(attributes, max_size=1), label_map=st.dictionaries(names, names, max_size=1),
)  # fmt: skip
"""Tasks as a user may put them together; most of them are refused."""


@st.composite
def usable_tasks(draw: st.DrawFn) -> Task:
    """A shipped task with some of its parts put in place of theirs."""
    task, other = draw(st.sampled_from(list(SHIPPED.values()))), draw(own_tasks)
    parts = draw(
        st.sets(st.sampled_from(["fields", "label_field", "system", "question", "attributes", "gold_chars", "min_chars", "language"]))
    )
    task = replace(task, **{name: getattr(other, name) for name in parts})
    renamed = draw(st.lists(names, min_size=len(task.labels), max_size=len(task.labels)))
    if draw(st.booleans()):
        task = replace(task, labels=[replace(label, name=name) for label, name in zip(task.labels, renamed, strict=True)], label_map={})
    if draw(st.booleans()):
        task = replace(task, labels=[replace(label, word=word) for label, word in zip(task.labels, renamed, strict=True)])
    return task


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tasks")


@given(st.one_of(own_tasks, usable_tasks()), st.lists(texts, min_size=2, max_size=2))
@example(replace(SHIPPED["jcola"], label_field="sentence"), ["文", "文"])
@example(replace(SHIPPED["jcola"], fields=["id"]), ["文", "文"])
@example(replace(SHIPPED["jsts"], fields=["a", "a"]), ["文", "別"])
@example(
    replace(SHIPPED["jcola"], labels=[replace(one, name=name) for one, name in zip(SHIPPED["jcola"].labels, ["", "b"], strict=True)]),
    ["文"] * 2,
)
@example(
    replace(
        SHIPPED["jcola"],
        labels=[replace(one, name=name) for one, name in zip(SHIPPED["jcola"].labels, ["a", " a"], strict=True)],
        label_map={},
    ),
    ["文"] * 2,
)
def test_a_task_is_refused_by_name_or_serves_every_stage(folder: Path, task: Task, said: list[str]) -> None:
    if tried(lambda: check_task(task) or True, ConfigError, "task ") is None:
        return
    shown = tuple(text or "文" for text in said[: task.num_turns])
    rows = [Example(shown, label.name, label.score, f"{label.name}/{n}") for n, label in enumerate(task.labels)]
    _check_prompts(task, rows)
    _check_files(folder, task, rows)
    selector = Selector(task, Curate(), 3)
    selector.advance(_Same(said[0]))
    assert {one.label for one in selector.accepted} <= set(task.label_names)


class _Same:
    """A stream whose every row says the same."""

    def __init__(self, text: str) -> None:
        self.text = text

    def get(self, label: str, index: int, turn: int) -> StreamRow | None:
        return StreamRow(index, label, turn, f"{self.text}{turn}", "stop", 0, 0, 0) if index < 3 else None


def _check_prompts(task: Task, rows: list[Example]) -> None:
    for prompting in (Prompting(), Prompting(system_role=False, knowledge=True)):
        exemplars = {row.label: (row,) for row in rows}
        stream = Stream("k", task, prompting, exemplars, 2, attributes=task.attributes if prompting.knowledge else (), variants=True)
        asks = [stream.ask(label, 5) for label in ([""] if task.is_pair else task.label_names)]
        asks += [stream.second_ask(label, 5, "文") for label in task.label_names if task.is_pair]
        assert all(turn["content"] is not None for ask in asks for turn in ask.messages)
        for turn in range(task.num_turns):
            assert len(stream.longest_prompts(turn)) == len(task.labels)
        for question in (label_question(task, prompting, rows[0].texts, 0, rows), channel_question(task, prompting, rows[0].texts)):
            assert len(question.chats) == len(task.labels)
    attribute_questions(task, system_role=True)
    read_answer(task, rows[0].texts[0])
    clean_reply(task, rows[0].texts[0], "stop")


def _check_files(folder: Path, task: Task, rows: list[Example]) -> None:
    write_examples(task, rows, folder / "rows.parquet")
    found = read_examples(task, folder / "rows.parquet")
    assert [(row.texts, row.id) for row in found] == [(row.texts, row.id) for row in rows]
    assert [row.score if task.is_regression else row.label for row in found] == [
        row.score if task.is_regression else row.label for row in rows
    ]
    write_task(task, Data(), folder)
    stored = read_task(folder)
    assert stored is not None
    assert stored.task == task
    if all(text.strip() for row in rows for text in row.texts) and not task.label_map:
        lines = [{**dict(zip(task.fields, row.texts, strict=True)), task.label_field: row.score or row.label} for row in rows]
        if task.is_regression:
            lines = [{**line, task.label_field: row.score} for line, row in zip(lines, rows, strict=True)]
        path = folder / "gold.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        split = read_eval(task, Data(source="files", eval_file=str(path)))
        assert split is not None
        if not task.is_regression:
            assert [one.label for one in split.examples] == [row.label for row in rows]


STORED = {name: {"task": asdict(task), "data": {}} for name, task in SHIPPED.items()}


@given(st.sampled_from(TASKS).flatmap(lambda name: misshapen(STORED[name])))
@example({"task": {**STORED["jnli"]["task"], "published": {"splits": [], "train_sources": []}}, "data": {}})
@example({"task": STORED["jnli"]["task"], "data": ["x"]})
@example([])
def test_a_stored_task_is_read_or_the_file_named(folder: Path, content: Any) -> None:
    (folder / TASK_FILE).write_text(json.dumps(content), encoding="utf-8")
    tried(lambda: read_task(folder), StoreError, str(folder / TASK_FILE))


@few(15)
@given(st.sampled_from(TASKS), st.data())
def test_a_spoilt_task_file_is_refused_in_words(folder: Path, name: str, data: st.DataObject) -> None:
    content = data.draw(spoilt((ROOT / "conf" / "task" / f"{name}.yaml").read_bytes()))
    (folder / "task").mkdir(exist_ok=True)
    (folder / "task" / "mine.yaml").write_bytes(content)
    try:
        task = compose_config(["task=mine"], folder).task
    except Exception as error:
        if explain(error) is None:
            raise
        return
    check_task(task)


@given(
    st.sampled_from(list(SHIPPED.values())),
    texts,
    st.lists(st.builds(LicensedSource, texts, texts, texts, texts, texts), max_size=2),
    st.booleans(),
)
@example(SHIPPED["jnli"], "\x7f\u2028題", [LicensedSource("texts", "\x85", "\ufffe", "")], True)
def test_a_card_of_any_names_opens_with_front_matter(task: Task, said: str, sources: list[LicensedSource], demo: bool) -> None:
    assume(said.strip())
    rows = (Example((said,) * task.num_turns, task.label_names[0], 0.5 if task.is_regression else None, "a/0"),)
    card = dataset_card(replace(task, title=said), Dataset(rows, (), {said: {said: 1}}, ()), {said: said}, sources, demo)
    _, front, body = card.split("---\n", 2)
    found = yaml.safe_load(front)
    assert found["pretty_name"].endswith(said)
    assert isinstance(found.get("license_name", ""), str)
    assert body
