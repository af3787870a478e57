"""task.json: every shipped task comes back as it was, and no path of the machine is kept with it."""

import json
from pathlib import Path

import pytest

from japagen.config.schema import Data
from japagen.curation.stored_task import TASK_FILE, read_task, write_task
from japagen.errors import StoreError
from tests.conftest import ROOT, load_task

TASKS = sorted(path.stem for path in (ROOT / "conf" / "task").glob("*.yaml"))


@pytest.mark.parametrize("name", TASKS)
def test_tasks_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    task, data = load_task(name), Data(source="published", split="test", mirror="/somewhere", cache="/elsewhere")
    write_task(task, data, tmp_path)
    found = read_task(tmp_path)
    assert found is not None
    assert found.task == task
    assert Data(**found.data) == Data(source="published", split="test")
    assert "where" not in json.dumps(found.data)


def test_a_folder_without_the_file_knows_no_task(tmp_path: Path) -> None:
    assert read_task(tmp_path) is None


@pytest.mark.parametrize("part", ["task", "data"])
def test_a_file_of_another_version_is_refused_with_what_to_do(part: str, tmp_path: Path) -> None:
    write_task(load_task("jnli"), Data(), tmp_path)
    content = json.loads((tmp_path / TASK_FILE).read_text(encoding="utf-8"))
    content[part]["novelty"] = 1
    (tmp_path / TASK_FILE).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(StoreError, match=r"another version.*novelty.*task=NAME data=published"):
        read_task(tmp_path)
