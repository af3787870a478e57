"""How often the rules that read replies are wrong on replies that people judged.

    python benchmarks/replies.py FILE [--against CHECKOUT]

FILE: a JSON object a line, with `task` (a shipped one), `reply` and `right`, the list of acceptable outcomes: texts, or null for a
rejection. Printed are the wrong outcomes by kind (wrongly kept, wrongly changed, wrongly rejected), how many replies that have an
acceptable text were kept as it, and each wrong outcome. --against reads the same replies with another checkout's rules, for before and
after.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from japagen.prompts.replies import Reject, clean_reply
from japagen.tasks import Task

ROOT = Path(__file__).parents[1]
KINDS = ("wrongly kept", "wrongly changed", "wrongly rejected")


def read_outcomes(cases: list[dict[str, Any]], root: Path) -> list[str | None]:
    """The text that each reply becomes, None where it is rejected; `root`: the checkout whose tasks are read."""
    tasks: dict[str, Any] = {}
    for name in {case["task"] for case in cases}:
        tasks[name] = OmegaConf.to_object(
            OmegaConf.merge(OmegaConf.structured(Task), OmegaConf.load(root / "conf" / "task" / f"{name}.yaml"))
        )
    found = [clean_reply(tasks[case["task"]], case["reply"], "stop") for case in cases]
    return [None if isinstance(outcome, Reject) else outcome for outcome in found]


def kind_of(case: dict[str, Any], outcome: str | None) -> str | None:
    """One of KINDS; None where the outcome is right."""
    if outcome in case["right"]:
        return None
    if outcome is None:
        return "wrongly rejected"
    return "wrongly kept" if outcome == " ".join(case["reply"].split()) else "wrongly changed"


def report(name: str, cases: list[dict[str, Any]], outcomes: list[str | None], shows: bool) -> None:
    """Prints the figures of one checkout; `shows`: each wrong outcome too."""
    kinds = [kind_of(case, outcome) for case, outcome in zip(cases, outcomes, strict=True)]
    counts = Counter(kind for kind in kinds if kind)
    with_text = [outcome in case["right"] and outcome is not None for case, outcome in zip(cases, outcomes, strict=True) if _texts(case)]
    listed = ", ".join(f"{kind} {counts[kind]}" for kind in KINDS)
    print(f"{name}: {counts.total()} of {len(cases)} wrong ({listed}); kept {sum(with_text)} of {len(with_text)} with an acceptable text")
    for case, outcome, kind in zip(cases, outcomes, kinds, strict=True):
        if shows and kind:
            print(f"  {kind}: {case['task']}: {case['reply']!r} -> {outcome!r}")


def _texts(case: dict[str, Any]) -> list[str]:
    return [text for text in case["right"] if text is not None]


def outcomes_of(checkout: Path, file: Path) -> list[str | None]:
    """The outcomes by another checkout's rules, read in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(checkout.resolve())}
    command = [sys.executable, str(Path(__file__).resolve()), str(file.resolve()), "--outcomes", str(checkout.resolve())]
    printed = subprocess.run(command, env=environment, cwd=checkout, check=True, capture_output=True, encoding="utf-8").stdout
    found: list[str | None] = json.loads(printed)
    return found


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="judged replies, a JSON object a line")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="a folder with another version of this project")
    parser.add_argument("--outcomes", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    cases = [json.loads(line) for line in arguments.file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if arguments.outcomes is not None:
        print(json.dumps(read_outcomes(cases, arguments.outcomes)))
        return
    if arguments.against is not None:
        report(f"before ({arguments.against})", cases, outcomes_of(arguments.against, arguments.file), shows=False)
    report("now", cases, read_outcomes(cases, ROOT), shows=True)


if __name__ == "__main__":
    main()
