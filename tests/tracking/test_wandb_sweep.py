"""A sweep that W&B steers: the command its agent builds, run as the agent runs it, and the run it finds afterwards."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from japagen.store.store import Store
from tests.conftest import ROOT

SWEEP = ROOT / "launch" / "wandb_sweep.yaml"


def agents_command(sweep: dict[str, Any], parameters: dict[str, Any]) -> list[str]:
    """What wandb.wandb_agent.Agent._command_run (wandb 0.31) makes of a sweep's YAML and one run's parameters."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    values: dict[str, Any] = create_sweep_command_args({"args": {name: {"value": value} for name, value in parameters.items()}})
    values |= {"program": [sweep["program"]], "interpreter": ["python"], "env": ["/usr/bin/env"]}
    parts: list[str] = []
    for part in map(str, create_sweep_command(list(sweep["command"]))):
        parts += values.get(part[2:-1], []) if part.startswith("${") and part.endswith("}") else [part]
    return parts


def parameters_of(sweep: dict[str, Any]) -> dict[str, Any]:
    """The first value of each parameter."""
    return {name: parameter["value"] if "value" in parameter else parameter["values"][0] for name, parameter in sweep["parameters"].items()}


def test_the_sweeps_yaml_is_one_that_wandb_takes_and_hydra_composes() -> None:
    from wandb.sdk.launch.sweeps.utils import parse_sweep_id

    from japagen.config.composition import compose_config

    sweep = yaml.safe_load(SWEEP.read_text(encoding="utf-8"))
    assert {"program", "method", "metric", "parameters"} <= set(sweep)
    assert parse_sweep_id({"name": "entity/japagen/abc"}) is None
    command = agents_command(sweep, parameters_of(sweep))
    assert command[:3] == ["/usr/bin/env", ".venv/bin/python", "run.py"]
    config = compose_config(command[3:])
    assert (config.task.name, config.shots, config.seed, config.num_per_label) == ("jnli", 0, 0, 300)


@pytest.mark.slow
@pytest.mark.vllm
def test_an_agents_run_keeps_the_agents_id_also_where_the_result_is_known(tmp_path: Path) -> None:
    from wandb.sdk.lib.config_util import save_config_file_from_dict

    sweep = yaml.safe_load(SWEEP.read_text(encoding="utf-8"))
    parameters = parameters_of(sweep) | {"task": "jcola", "num_per_label": 8}
    store = tmp_path / "store"
    more = ["train.epochs=1", "train.min_steps=20", f"store={store}", f"hydra.run.dir={tmp_path}/hydra"]
    for run_id in ("agentrun1", "agentrun2"):
        file = tmp_path / f"config-{run_id}.yaml"
        save_config_file_from_dict(str(file), {name: {"value": value} for name, value in parameters.items()})
        agents = {"WANDB_SWEEP_ID": "sweep123", "WANDB_RUN_ID": run_id, "WANDB_SWEEP_PARAM_PATH": str(file), "WANDB_DIR": str(tmp_path)}
        done = subprocess.run(
            [*agents_command(sweep, parameters), *more], cwd=ROOT, capture_output=True, text=True, timeout=400, check=False,
            stdin=subprocess.DEVNULL, env={**os.environ, **agents, "WANDB_MODE": "offline"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Ignoring" not in done.stdout + done.stderr, "W&B was given another id or project than the agent's"
    runs = {path.name.rpartition("-")[2]: path for path in (Store(store).wandb / "wandb").glob("offline-run-*")}
    assert set(runs) == {"agentrun1", "agentrun2"}
    for run in runs.values():
        logged = next(run.glob("*.wandb")).read_bytes()
        for part in (b"sweep123", b"gold/primary", b"gold/valid/mcc"):  # the sweep and the scores, in W&B's log of the run
            assert part in logged
