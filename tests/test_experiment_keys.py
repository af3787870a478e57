"""The shipped experiments' keys, in a committed file: a change of a default, or of what a key is made of, shows in the diff.

Where a change is meant: `python -m tests.test_experiment_keys` writes the file anew.
"""

import json
import sys
from pathlib import Path

from japagen.commands.compose import compose_sweep
from japagen.methods import Planner
from japagen.tracking import run_name
from tests.conftest import MIRROR, ROOT, needs_mirror

FILE = Path(__file__).parent / "experiment_keys.json"
NO_MODEL_IS_LOADED = ["llm.revision=" + "0" * 40, "model.revision=" + "0" * 40]
"""Commits in place of whatever the hub has now."""


def keys_of(overrides: list[str]) -> dict[str, dict[str, str]]:
    """Experiment -> stage -> key; without those whose train rows this machine lacks (JNLI's are not in every mirror)."""
    planner = Planner(tentative=True)
    experiments = [planner.plan(config) for config in compose_sweep(overrides)]
    return {
        run_name(one) + f"/synthesis{one.config.synthesis.seed}": one.keys for one in experiments if one.train_gold or not one.config.shots
    }


def test_the_keys_of_quickstart_are_the_committed_ones() -> None:
    assert keys_of(["+experiment=quickstart"]) == json.loads(FILE.read_text(encoding="utf-8"))["quickstart"]


@needs_mirror
def test_the_keys_of_paper_are_the_committed_ones() -> None:
    committed = json.loads(FILE.read_text(encoding="utf-8"))["paper"]
    found = keys_of(["+experiment=paper", f"data.mirror={MIRROR}", *NO_MODEL_IS_LOADED])
    assert {name: found[name] for name in committed} == committed


if __name__ == "__main__":
    found = {
        "quickstart": keys_of(["+experiment=quickstart"]),
        "paper": keys_of(["+experiment=paper", f"data.mirror={MIRROR}", *NO_MODEL_IS_LOADED]),
    }
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE.relative_to(ROOT)}\n")
