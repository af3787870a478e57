"""The page in a real browser: rendered without an error or a request, sorted, filtered, light, dark, narrow, deaf to hostile texts."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from japagen.reporting.html.page import write_page
from japagen.store.store import Store
from tests.conftest import Compose
from tests.reporting.html.hostile import TEXTS, hostile_report
from tests.reporting.html.invented import invented_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH: apt-get install chromium")
WATCH = """
window.hacked = 0;
window.refused = [];
document.addEventListener("securitypolicyviolation", (event) => window.refused.push(event.violatedDirective + " " + event.blockedURI));
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with api.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def plain_file(composed: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("plain")
    write_page(invented_report(composed, Store(root)), Store(root), root / "report.html")
    return root / "report.html"


@pytest.fixture(scope="module")
def hostile_file(composed: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    write_page(*hostile_report(composed, root), root / "report.html")
    return root / "report.html"


class Opened:
    """A page in the browser, with what it asked for and complained of."""

    def __init__(self, browser: Any, path: Path, **how: Any) -> None:
        self.context = browser.new_context(**how)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.add_init_script(WATCH)
        self.page.goto(path.as_uri())

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def column(self, table: str, number: int) -> list[str]:
        """Texts of a column's cells in rows that are seen."""
        found: list[str] = self.page.eval_on_selector_all(
            f"#{table} tbody tr:not([hidden]) td:nth-child({number})", "cells => cells.map((cell) => cell.textContent)"
        )
        return found


def test_it_renders_without_an_error_or_a_request(browser: Any, plain_file: Path) -> None:
    with Opened(browser, plain_file) as opened:
        assert opened.complaints == []
        assert opened.requests == [plain_file.as_uri()]
        assert opened.page.evaluate("window.refused") == []
        assert opened.page.locator("section").count() >= 9
        for figure in opened.page.locator("#scores svg").all():
            box = figure.bounding_box()
            assert box is not None
            assert box["height"] > 100
            assert box["width"] > 300


def test_a_click_sorts_by_value_and_a_second_one_turns_round(browser: Any, plain_file: Path) -> None:
    with Opened(browser, plain_file) as opened:
        heading = opened.page.locator("#runs th", has_text="score")
        before = opened.column("runs", 8)
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == "descending"
        falling = opened.column("runs", 8)
        scores = [float(text.split()[0]) for text in falling[:-2]]
        assert scores == sorted(scores, reverse=True)
        assert falling[-2:] == ["failed", "to come"]
        heading.get_by_role("button").press("Enter")
        assert heading.get_attribute("aria-sort") == "ascending"
        rising = opened.column("runs", 8)
        assert [float(text.split()[0]) for text in rising[:-2]] == sorted(scores)
        assert rising[-2:] == ["failed", "to come"], "what has no score stays last"
        assert sorted(before) == sorted(rising)


def test_text_is_sorted_as_people_do(browser: Any, plain_file: Path) -> None:
    with Opened(browser, plain_file) as opened:
        heading = opened.page.locator("#runs th", has_text="size")
        heading.get_by_role("button").click()
        sizes = [text for text in opened.column("runs", 6) if text.isdigit()]
        assert sizes == sorted(sizes, key=int)


def test_the_filter_leaves_rows_that_have_all_words(browser: Any, plain_file: Path) -> None:
    with Opened(browser, plain_file) as opened:
        total = len(opened.column("runs", 1))
        opened.page.locator('input[data-filter="runs"]').fill("ＪＳＴＳ prompting")
        names = opened.column("runs", 1)
        assert names == ["jsts-prompting-0-shot-qwen3-8b-seed0", "jsts-prompting-0-shot-qwen3-8b-seed1"]
        assert opened.page.locator('output[data-count="runs"]').text_content() == f"2 of {total} rows"
        opened.page.locator('input[data-filter="runs"]').fill("")
        assert len(opened.column("runs", 1)) == total


def test_texts_are_browsed_by_label_and_word(browser: Any, plain_file: Path) -> None:
    with Opened(browser, plain_file) as opened:
        opened.page.evaluate("document.querySelectorAll('#datasets details').forEach((one) => { one.open = true; })")
        opened.page.locator('select[data-choose="texts0"]').select_option(label="neutral")
        assert set(opened.column("texts0", 1)) == {"neutral"}
        opened.page.locator('input[data-filter="texts0"]').fill("自転車")
        shown = opened.page.locator("#texts0 tbody tr:not([hidden])").all_text_contents()
        assert shown
        assert all("自転車" in text for text in shown)


def test_a_runs_link_opens_where_it_comes_from(browser: Any, plain_file: Path) -> None:
    with Opened(browser, plain_file) as opened:
        assert not opened.page.locator("#run-3 dl").is_visible()
        opened.page.locator('#runs a[href="#run-3"]').click()
        opened.page.wait_for_selector("#run-3 dl", state="visible")
        assert "python run.py task=jnli" in (opened.page.locator("#run-3 code").last.text_content() or "")


def test_hostile_texts_run_nothing_and_are_read_as_they_are(browser: Any, hostile_file: Path) -> None:
    with Opened(browser, hostile_file) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        for heading in opened.page.locator("#runs th button").all():
            heading.click()
        opened.page.locator("#runs tbody tr").first.hover()
        opened.page.locator('input[data-filter="runs"]').fill("script")
        assert opened.page.evaluate("window.hacked") == 0
        assert opened.page.evaluate("window.refused") == [], "nothing got so far that the policy had to stop it"
        assert opened.complaints == []
        assert opened.requests == [hostile_file.as_uri()]
        text = opened.page.locator("body").inner_text()
        for hostile_text in TEXTS:
            assert hostile_text in text, hostile_text


def test_the_policy_stops_what_would_get_through(browser: Any, hostile_file: Path, tmp_path: Path) -> None:
    broken = hostile_file.read_text(encoding="utf-8").replace("<main>", f"<main>{''.join(TEXTS)}", 1)
    (tmp_path / "broken.html").write_text(broken, encoding="utf-8")
    with Opened(browser, tmp_path / "broken.html") as opened:
        opened.page.wait_for_function("window.refused.length > 0")
        assert opened.page.evaluate("window.hacked") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ink_stands_out_in_light_and_dark(browser: Any, plain_file: Path, scheme: str) -> None:
    with Opened(browser, plain_file, color_scheme=scheme) as opened:
        paper = luminance(opened.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert (paper > 0.8) if scheme == "light" else (paper < 0.1)
        inks = ["getComputedStyle(document.body).color", "getComputedStyle(document.querySelector('#scores svg text')).fill"]
        inks += ["getComputedStyle(document.querySelector('.about')).color", "getComputedStyle(document.querySelector('a')).color"]
        for ink in inks:
            brightness = luminance(opened.page.evaluate(ink))
            lighter, darker = max(paper, brightness), min(paper, brightness)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, ink


def luminance(color: str) -> float:
    """Relative luminance of 'rgb(r, g, b)' (WCAG 2.1)."""
    parts = [float(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("width", [380, 800, 1280])
def test_only_tables_and_figures_scroll_sideways(browser: Any, plain_file: Path, hostile_file: Path, width: int) -> None:
    for path in (plain_file, hostile_file):
        with Opened(browser, path, viewport={"width": width, "height": 800}) as opened:
            opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_is_read_without_its_script(browser: Any, plain_file: Path) -> None:
    with Opened(browser, plain_file, java_script_enabled=False) as opened:
        assert "Break-even" in opened.page.locator("body").inner_text()


def test_japanese_is_drawn_in_figures(browser: Any, composed: Compose, tmp_path: Path) -> None:
    report = invented_report(composed, Store(tmp_path), tasks=("jnli",), seeds=1)
    run = report.runs[0]
    named = replace(run, outcome=replace(run.outcome, options={"prompt.personas": "いろいろな人物"}))
    write_page(replace(report, runs=(named, *report.runs[1:])), Store(tmp_path), tmp_path / "report.html")
    with Opened(browser, tmp_path / "report.html") as opened:
        text = opened.page.locator("#scores svg text", has_text="いろいろな人物")
        assert text.text_content() == "japagen, 0 shots, n=40, prompt.personas=いろいろな人物"
        box = text.bounding_box()
        assert box is not None
        assert box["width"] > 200


@pytest.mark.parametrize("width", [390, 1280])
def test_77_labels_fit_the_page(browser: Any, composed: Compose, tmp_path: Path, width: int) -> None:
    report = invented_report(composed, Store(tmp_path), tasks=("jnli", "banking77"), seeds=1, sizes=(2,))
    write_page(report, Store(tmp_path), tmp_path / "report.html")
    with Opened(browser, tmp_path / "report.html", viewport={"width": width, "height": 900}) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach((part) => part.open = true)")
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        pairs = opened.page.locator(".pairs table").first
        assert pairs.locator("tbody tr").count() == 15
        assert pairs.evaluate("table => table.scrollWidth <= table.parentElement.clientWidth"), "counts are seen without scrolling"
        assert opened.page.locator(".tall").first.evaluate("grid => grid.clientHeight") <= 500
