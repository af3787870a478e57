"""The benchmark of judged replies: outcomes by kind, and the share kept."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from replies import ROOT, kind_of

CASES = [
    {"task": "jnli", "reply": "仮説：犬が走る。", "right": ["犬が走る。"]},
    {"task": "jnli", "reply": "犬が走る。", "right": [None]},
    {"task": "jcola", "reply": "お答えできません。", "right": ["お答えできません。", None]},
]


@pytest.mark.parametrize(
    ("outcome", "right", "kind"),
    [
        ("犬。", ["犬。"], None), (None, ["犬。", None], None), (None, ["犬。"], "wrongly rejected"),
        ("文 犬。", ["犬。"], "wrongly kept"), ("犬", ["犬。"], "wrongly changed"),
    ],
)  # fmt: skip
def test_kinds(outcome: str | None, right: list[str | None], kind: str | None) -> None:
    assert kind_of({"reply": "文\n犬。", "right": right}, outcome) == kind


def test_figures_of_this_checkout_and_of_another(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(json.dumps(case, ensure_ascii=False) for case in CASES), encoding="utf-8")
    command = [sys.executable, "benchmarks/replies.py", str(path), "--against", str(ROOT)]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8", env={"PYTHONPATH": str(ROOT)}).stdout
    figures = "1 of 3 wrong (wrongly kept 1, wrongly changed 0, wrongly rejected 0); kept 1 of 2 with an acceptable text"
    assert printed.splitlines()[:2] == [f"before ({ROOT}): {figures}", f"now: {figures}"]
    assert printed.splitlines()[2] == "  wrongly kept: jnli: '犬が走る。' -> '犬が走る。'"
