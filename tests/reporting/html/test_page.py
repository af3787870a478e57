"""The page as text: nothing hostile is left unescaped, no number is missing, and it needs nothing from elsewhere."""

import base64
import hashlib
import html as escaping
import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from japagen.curation.label_noise import noise_path, write_noise
from japagen.experiments.result import Result
from japagen.quality.label_sheets import Sheet, dataset_rows, measure_noise
from japagen.reporting.html import tables
from japagen.reporting.html.page import render, write_page
from japagen.reporting.pivots import Cell, Column, Pivot, PivotRow
from japagen.reporting.report import Report, Run
from japagen.store.files import write_json
from japagen.store.store import Store
from tests.conftest import Compose
from tests.reporting.html.hostile import TEXTS, hostile_report
from tests.reporting.html.invented import fill_store, interval, invented_report, result_for, sweep_named


class Elements(HTMLParser):
    """Start tags with their attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def pages(composed: Compose, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, str]:
    store = Store(tmp_path_factory.mktemp("store"))
    report = invented_report(composed, store)
    return report, render(report, store)


def test_every_number_has_its_place(pages: tuple[Report, str]) -> None:
    report, page = pages
    text = Elements(page).text
    for heading in ("Results", "Scores with intervals", "Growth curves", "Predictions and gold labels", "Cost", "Break-even", "Data sets",
                    "Runs", "Failures", "Provenance"):  # fmt: skip
        assert heading in text
    for result in report.results:
        assert result.primary is not None
        assert f"{result.primary['value']:.3f} [{result.primary['low']:.3f}, {result.primary['high']:.3f}]" in text
        assert all(key in text for key in result.keys.values())
    assert "the disk is full: free some space" in text
    assert "python run.py -m task=jnli,jsts shots=0,3" in text
    assert "番目の" in text
    assert text.count("1 failed") >= 1


def test_the_page_needs_nothing_from_elsewhere(pages: tuple[Report, str]) -> None:
    elements = Elements(pages[1]).found
    assert not [tag for tag, _ in elements if tag in ("link", "iframe", "object", "embed", "img", "base", "form")]
    links = [attributes[name] or "" for _, attributes in elements for name in ("src", "href", "xlink:href") if name in attributes]
    assert links
    assert all(link.startswith("#") for link in links)
    assert "@import" not in pages[1]


def test_every_link_leads_to_a_place_and_ids_are_not_repeated(pages: tuple[Report, str]) -> None:
    elements = Elements(pages[1]).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert {(attributes["href"] or "")[1:] for tag, attributes in elements if tag == "a"} <= set(ids)


def test_the_policy_allows_our_script_and_no_request(pages: tuple[Report, str]) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', pages[1])
    (script,) = re.findall(r"<script>(.*?)</script>", pages[1], re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.partition("script-src")[2]


def test_hostile_texts_are_text(composed: Compose, tmp_path: Path) -> None:
    page = render(*hostile_report(composed, tmp_path))
    elements = Elements(page)
    assert [tag for tag, _ in elements.found if tag in ("script", "style")] == ["style", "script"]
    assert not [tag for tag, _ in elements.found if tag in ("img", "iframe", "object", "embed")]
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    assert "javascript:" not in " ".join(str(attributes.get("href")) for _, attributes in elements.found)
    for text in TEXTS:
        assert text in elements.text, text
    assert "49" not in [line.strip() for line in elements.text.splitlines()]


def test_an_empty_report_is_a_page(tmp_path: Path) -> None:
    page = render(Report((), ()), Store(tmp_path))
    assert "No results yet." in page
    assert "<h1>No runs</h1>" in page


def test_failures_alone_are_a_page(composed: Compose, tmp_path: Path) -> None:
    report = invented_report(composed, Store(tmp_path), tasks=("jnli",), seeds=1)
    page = render(Report(report.sweeps, report.runs[-2:]), Store(tmp_path))
    assert "the disk is full" in page
    assert "1</b> still to come" in page


def test_demo_results_are_called_so(composed: Compose, tmp_path: Path) -> None:
    config = composed("task=jnli")
    result = result_for(config, 0.4, random.Random(0), data="sample", demo=True)
    page = render(Report((sweep_named(),), (Run("methods", config, result),)), Store(tmp_path))
    assert "Smoke data (mean nothing)" in page
    assert "<strong>Demo.</strong>" in page
    assert "<sup>*</sup>" in page


def test_a_task_without_gold_has_no_plots_and_no_score(composed: Compose, tmp_path: Path) -> None:
    config = composed("task=jnli")
    result = replace(result_for(config, 0.4, random.Random(0)), split=None, metrics={}, baselines={}, num_eval=0, gold_source=None)
    page = render(Report((sweep_named(),), (Run("methods", config, result),)), Store(tmp_path))
    assert "no gold" in page
    assert "Scores with intervals" not in page


def test_a_score_without_a_value_is_a_dash(composed: Compose, tmp_path: Path) -> None:
    config = composed("task=jsts")
    results = [replace(result_for(config, 0.4, random.Random(0)), metrics={"spearman": None}), result_for(config, 0.4, random.Random(1))]
    runs = tuple(
        Run("methods", config, replace(result, seeds={"seed": number}, keys={"result": str(number)}))
        for number, result in enumerate(results)
    )
    assert "–" in render(Report((sweep_named(),), runs), Store(tmp_path))


def test_further_splits_have_figures_and_matrices_of_their_own(composed: Compose, tmp_path: Path) -> None:
    store, config, rng = Store(tmp_path), composed("task=jcola"), random.Random(0)
    further = {"ood": {"metrics": {"mcc": interval(0.2)}, "baselines": {}, "num_eval": 80, "gold_source": "JCoLA ood"}}
    result = result_for(config, 0.4, rng, also_scored=further)
    fill_store(store, config, result, rng)
    folder = store.path("result", result.keys["result"])
    (folder / "predictions-ood.parquet").write_bytes((folder / "predictions.parquet").read_bytes())
    page = render(Report((sweep_named(),), (Run("methods", config, result),)), store)
    assert page.count("jcola (ood): mcc") >= 3
    assert "ood 0.200 [0.170, 0.230]" in page
    assert [(split.name, split.is_primary) for split in result.splits] == [("valid", True), ("ood", False)]


def test_a_measured_data_set_shows_its_quality(composed: Compose, tmp_path: Path) -> None:
    store, config, rng = Store(tmp_path), composed("task=jcola", "num_per_label=20"), random.Random(0)
    result = result_for(config, 0.4, rng)
    fill_store(store, config, result, rng)
    report = Report((sweep_named(),), (Run("methods", config, result),))
    assert f"japagen show {result.keys['dataset']}" in render(report, store)
    folder = store.path("quality", "aa")
    folder.mkdir(parents=True)
    write_json(folder / "meta.json", {"created": "2026-11-21T20:50:00+00:00"})
    write_json(folder / "quality.json", quality_of(result))
    page = render(report, store)
    assert f"japagen show {result.keys['dataset']}" not in page
    for text in (
        "51.3%",
        "Kolmogorov-Smirnov",
        "0.093",
        "Closest other gold row",
        "Self-BLEU-4",
        "0.394",
        "acceptable 3, unacceptable 1",
        "Labels held against their descriptions",
        "75.0%",
    ):
        assert text in page
    assert "gold text of another row" not in page
    (folder / "quality.json").write_text("{broken", encoding="utf-8")
    assert f"japagen show {result.keys['dataset']}" in render(report, store)


def quality_of(result: Result) -> dict[str, object]:
    """quality.json as it is measured, in short."""
    quantiles = {"0": 1.0, "0.05": 2.0, "0.25": 3.0, "0.5": 4.0, "0.75": 5.0, "0.95": 6.0, "1": 7.0}
    summary = {"n": 9, "mean": 4.0, "sd": 1.0, "quantiles": quantiles}
    words = {"tokens": 9, "types": 8, "segment_ttr": None, "distinct_1": 0.1, "distinct_2": 0.2, "distinct_3": 0.3, "self_bleu_4": 0.394}
    label = {"rows": 9, "share": 0.513, "weighted_share": 0.513, "gold_rows": 4, "gold_share": None, "rejected": 1, "accepted_share": 0.9}
    return {
        "dataset": result.keys["dataset"], "labels": {"acceptable": label}, "rejects": {"duplicate": {"acceptable": 1}},
        "reading": {"list marker": {"acceptable": 3, "unacceptable": 1}},
        "length": {"sentence": {"synthetic": summary, "gold": summary, "ks_distance": 0.093, "mean_by_label": {}}},
        "diversity": {"sentence": {"own": words, "equal_size": None}},
        "neighbours": {"cosine": summary, "share_from": {"0.5": 0.1}, "gold_to_gold": None},
        "overlap": {"synthetic": {"acceptable": summary}, "gold": None}, "partial_reading": {"synthetic": None, "gold": None},
        "described": {"result": "r", "encoder": "bert", "demo": False, "by_label": {"acceptable": {"agreeing": 3, "n": 4}}},
        "agreement": None, "examples": {"acceptable": [{"id": "x", "texts": ["gold text of another row"]}]},
    }  # fmt: skip


def test_cells_are_marked(composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell(0.712, 0.01, "seed 0, 1", 2, 1, True, "zero-shot", 0.01)
    reference = Cell(0.6, None, "seed 0", 1, 0, False, "zero-shot", None, True, 3)
    heads = [("japagen", cell), ("gold", reference), ("overlap", Cell(0.9, None, "", 1, 0, False, "")), ("mixed", None)]
    rows = tuple(PivotRow(name, "–", "–", "–", "–", "–", "–", (cell,), name == "overlap") for name, cell in heads)
    pivot = Pivot("published", (Column("jnli", "valid", "accuracy", 100),), rows)
    monkeypatch.setattr(tables, "pivots", lambda report: [pivot])
    config = composed("task=jnli")
    page = render(Report((), (Run("s", config, result_for(config, 0.5, random.Random(0))),)), Store(tmp_path))
    plain = escaping.unescape(re.sub(r"<[^>]+>", "", page))
    assert "0.712*† ± 0.010 ×2 1 failed" in plain
    assert "0.600‡ 3 to come" in plain
    assert re.search(r'class="best"[^>]*>0\.712', page), "a baseline is no best setting"


def test_the_page_is_written_whole(composed: Compose, tmp_path: Path) -> None:
    out = tmp_path / "new" / "report.html"
    write_page(Report((), ()), Store(tmp_path), out)
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


@pytest.mark.slow
def test_two_hundred_runs_stay_under_five_megabytes(composed: Compose, tmp_path: Path) -> None:
    store, rng = Store(tmp_path), random.Random(0)
    base = invented_report(composed, store, tasks=("jnli",), seeds=1, sizes=(90,))
    config = base.runs[0].config
    long = ["とても長い文がここにある。" * 40] * 5
    runs = []
    for number in range(200):
        result = result_for(config, 0.5 + number / 1000, rng, settings=f"s{number}", options={"train.robust_q": number / 200})
        result = replace(result, keys={**result.keys, "dataset": f"data{number}", "result": f"result{number}"})
        fill_store(store, config, result, rng, long)
        runs.append(Run("methods", config, result))
    write_page(Report(base.sweeps, tuple(runs)), store, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 5_000_000


def test_many_labels_are_pairs_and_a_grid_that_scrolls(composed: Compose, tmp_path: Path) -> None:
    store = Store(tmp_path)
    page = render(invented_report(composed, store, tasks=("jnli", "banking77"), seeds=1, sizes=(2,)), store)
    elements = Elements(page)
    assert max(page.count(f'<th scope="col" class="number">{name}</th>') for name in ("card_arrival", "age_limit")) == 0, "no matrix of 77"
    assert "the 15 most frequent." in elements.text
    assert "Never predicted, of 77 labels: " in elements.text
    assert [attributes for tag, attributes in elements.found if attributes.get("class") == "scroll tall"] != []
    assert {attributes["lang"] for tag, attributes in elements.found if tag == "tbody" and "lang" in attributes} == {"ja", "en"}


def test_label_noise_by_people_is_shown_beside_the_quality(composed: Compose, tmp_path: Path) -> None:
    store, config, rng = Store(tmp_path), composed("task=jcola", "num_per_label=20"), random.Random(0)
    result = result_for(config, 0.4, rng)
    fill_store(store, config, result, rng)
    report, key = Report((sweep_named(),), (Run("methods", config, result),)), result.keys["dataset"]
    assert "Label noise by people" not in render(report, store)
    rows = dataset_rows(store, key, config.task)
    sheets = [Sheet(name, {row.id: row.label for row in rows[:9]} | {rows[9].id: "unclear"}) for name in ("<b>anna</b>.csv", "ben.csv")]
    write_noise(store, measure_noise(config.task, key, rows, sheets))
    text = Elements(render(report, store)).text
    for part in ("Label noise by people", "<b>anna</b>.csv: 9 labelled, 1 unclear, 0 empty.", "Two people", "Cohen's kappa"):
        assert part in text, part
    noise_path(store, key).write_text("{", encoding="utf-8")
    assert "Label noise by people" not in render(report, store), "a broken file hides no page"
