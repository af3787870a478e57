"""Only texts that the LLM wrote are shown: no annotated, gold or exemplar text, however it got into a data set's folder."""

import json
import random
from dataclasses import replace
from pathlib import Path

from japagen.reporting.html.datasets import dataset_pages
from japagen.reporting.html.page import render
from japagen.reporting.html.texts import MAX_CHARS, PER_LABEL, PER_REASON, Prompts, sample_rejects, sample_texts, written_rows
from japagen.reporting.report import Report, Run
from japagen.store.store import Store
from japagen.tasks import Example
from tests.conftest import Compose, load_task
from tests.reporting.html.invented import (
    EXEMPLAR,
    GOLD_TEXT,
    fill_store,
    invented_rows,
    result_for,
    sweep_named,
    write_dataset_folder,
    write_stream,
)

JCOLA = load_task("jcola")
LABEL = JCOLA.label_names[0]


def prompts_of(store: Store) -> Prompts:
    write_stream(store, "stream", JCOLA)
    return Prompts(store, "stream")


def row(text: str, id_: str, label: str = LABEL) -> Example:
    return Example((text,), label, None, id_)


def test_rows_that_an_llm_labelled_are_no_written_ones() -> None:
    rows = [
        row("書かれた文。", f"{LABEL}/3"),
        row(GOLD_TEXT, "annotated/3"),
        row(GOLD_TEXT, "3"),
        row(GOLD_TEXT, "train/3"),
        row(GOLD_TEXT, ""),
    ]
    assert [row.id for row in written_rows(JCOLA, rows)] == [f"{LABEL}/3"]


def test_a_relabelled_row_is_a_written_one(tmp_path: Path) -> None:
    changed = row("書かれた文。", f"{JCOLA.label_names[1]}/3", label=LABEL)
    (text,) = sample_texts(JCOLA, [changed], prompts_of(Store(tmp_path)), 10_000)
    assert (text.label, text.id) == (LABEL, f"{JCOLA.label_names[1]}/3")


def test_texts_that_hold_an_exemplar_are_left_out(tmp_path: Path) -> None:
    prompts = prompts_of(Store(tmp_path))
    assert prompts.allow(["犬が走っている。"])
    for text in (EXEMPLAR, f"例：{EXEMPLAR}。", EXEMPLAR[2:17] + "など", f"　{EXEMPLAR}　"):
        assert not prompts.allow(["犬が走っている。", text]), text


def test_a_short_exemplar_is_found_within_a_reply(tmp_path: Path) -> None:
    write_stream(Store(tmp_path), "stream", JCOLA, exemplar="犬だ。")
    assert not Prompts(Store(tmp_path), "stream").allow(["そこにいるのは犬だ。"])


def test_no_text_is_shown_where_the_prompts_are_not_known(tmp_path: Path) -> None:
    for prompts in (Prompts(Store(tmp_path), "gone"), Prompts(Store(tmp_path), None)):
        assert not prompts.are_known
        assert sample_texts(JCOLA, [row("書かれた文。", f"{LABEL}/3")], prompts, 10_000) == []


def test_rejects_show_no_gold_text(tmp_path: Path) -> None:
    prompts = prompts_of(Store(tmp_path))
    replies = [
        ("too long", "長い文。"),
        ("contamination", GOLD_TEXT),
        ("copies an exemplar", EXEMPLAR),
        ("first sentence", f"「{EXEMPLAR}」"),
    ]
    lines = [json.dumps({"label": LABEL, "index": 0, "reason": reason, "text": text}) for reason, text in replies]
    (tmp_path / "rejects.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [(reject.reason, reject.text) for reject in sample_rejects(tmp_path / "rejects.jsonl", prompts)] == [("too long", "長い文。")]
    assert sample_rejects(tmp_path / "none.jsonl", prompts) == []


def test_rejects_of_a_reason_are_of_different_labels(tmp_path: Path) -> None:
    labels = [LABEL] * 20 + [JCOLA.label_names[1]]
    lines = [json.dumps({"label": label, "index": index, "reason": "empty", "text": ""}) for index, label in enumerate(labels)]
    (tmp_path / "rejects.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = sample_rejects(tmp_path / "rejects.jsonl", prompts_of(Store(tmp_path)))
    assert len(found) == PER_REASON
    assert {reject.label for reject in found} == set(JCOLA.label_names)


def test_the_sample_is_the_same_whatever_order_rows_come_in_and_keeps_to_its_budget(tmp_path: Path) -> None:
    prompts, rows = prompts_of(Store(tmp_path)), invented_rows(JCOLA, 100, random.Random(1))
    whole = sample_texts(JCOLA, rows, prompts, 1_000_000)
    assert len(whole) == PER_LABEL * len(JCOLA.labels)
    assert sample_texts(JCOLA, rows[::-1], prompts, 1_000_000) == whole
    small = sample_texts(JCOLA, rows, prompts, 2_000)
    assert 2 * len(JCOLA.labels) <= len(small) < 20
    assert len(sample_texts(JCOLA, rows, prompts, 0)) == 2 * len(JCOLA.labels)


def test_long_texts_are_cut(tmp_path: Path) -> None:
    (text,) = sample_texts(JCOLA, [row("長" * 900, f"{LABEL}/0")], prompts_of(Store(tmp_path)), 10_000)
    assert text.texts == ("長" * MAX_CHARS + "…",)


def test_rows_say_what_their_request_drew_and_personas_stay_with_the_user(tmp_path: Path) -> None:
    (text,) = sample_texts(JCOLA, [row("書かれた文。", f"{LABEL}/3")], prompts_of(Store(tmp_path)), 10_000)
    assert dict(text.attributes) == {"場面": "公園"}


def test_an_annotated_data_set_shows_its_numbers_and_none_of_its_texts(composed: Compose, tmp_path: Path) -> None:
    store, config = Store(tmp_path), composed("task=jcola", "method=annotate")
    result = result_for(config, 0.4, random.Random(0))
    result = replace(result, keys={**result.keys, "dataset": "annotated"})
    write_dataset_folder(store, "annotated", config.task, [row(GOLD_TEXT, f"annotated/{index}") for index in range(9)], [])
    report = Report((sweep_named(),), (Run("methods", config, result),))
    ((page,), gone) = dataset_pages(report, store)
    assert (page.texts, page.rejects, gone) == ((), (), 0)
    html = render(report, store)
    assert GOLD_TEXT not in html
    assert "didn&#39;t write are not shown" in html


def test_of_written_and_annotated_rows_only_written_ones_are_shown(composed: Compose, tmp_path: Path) -> None:
    store, config = Store(tmp_path), composed("task=jcola", "method=annotate_japagen")
    result = result_for(config, 0.4, random.Random(0))
    write_stream(store, result.keys["stream"], config.task)
    rows = [row("書かれた文。", f"{LABEL}/0"), row(f"{EXEMPLAR}。", f"{LABEL}/1"), row(GOLD_TEXT, "annotated/0")]
    write_dataset_folder(store, result.keys["dataset"], config.task, rows, [])
    html = render(Report((sweep_named(),), (Run("methods", config, result),)), store)
    assert "書かれた文。" in html
    assert GOLD_TEXT not in html
    assert EXEMPLAR not in html


def test_a_page_of_few_shot_runs_has_neither_gold_nor_exemplars(composed: Compose, tmp_path: Path) -> None:
    store, config = Store(tmp_path), composed("task=jnli", "shots=3", "num_per_label=20")
    result = result_for(config, 0.6, random.Random(0))
    fill_store(store, config, result, random.Random(0))
    html = render(Report((sweep_named(),), (Run("methods", config, result),)), store)
    assert "のそばに" in html
    for text in (GOLD_TEXT, EXEMPLAR, "秘密の人物"):
        assert text not in html


def test_data_sets_that_are_gone_are_counted(composed: Compose, tmp_path: Path) -> None:
    config = composed("task=jnli")
    report = Report((sweep_named(),), (Run("methods", config, result_for(config, 0.6, random.Random(0))),))
    assert dataset_pages(report, Store(tmp_path)) == ([], 1)
    assert "1 data sets of the results are not in the store any more" in render(report, Store(tmp_path))
