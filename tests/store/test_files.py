"""Files that others may read or write at the same moment."""

import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from japagen.store.files import from_json, write_whole


def test_two_writers_of_one_file_do_not_collide(tmp_path: Path) -> None:
    path, both_write = tmp_path / "new" / "results.csv", threading.Barrier(2, timeout=20)
    faults: list[BaseException] = []

    def write(text: str) -> None:
        def half_then_half(temporary: Path) -> None:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text * 500)
                file.flush()
                both_write.wait()
                file.write(text * 500)

        try:
            write_whole(path, half_then_half)
        except BaseException as error:
            faults.append(error)

    writers = [threading.Thread(target=write, args=(text,)) for text in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not faults
    assert path.read_text(encoding="utf-8") in ("a" * 1000, "b" * 1000)
    assert [one.name for one in path.parent.iterdir()] == ["results.csv"]


def test_nothing_is_left_where_writing_fails(tmp_path: Path) -> None:
    def fail(temporary: Path) -> None:
        temporary.write_text("half", encoding="utf-8")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "results.csv", fail)
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True)
class Kept:
    name: str
    shard: tuple[int, int] = (0, 1)
    labels: list[str] = field(default_factory=list)


def test_a_dataclass_reads_as_it_was_written() -> None:
    kept = Kept("a", (1, 2), ["x"])
    assert from_json(Kept, json.loads(json.dumps(asdict(kept)))) == kept


def test_another_versions_fields_are_left_out_or_have_defaults() -> None:
    assert from_json(Kept, {"name": "a", "later": 1}) == Kept("a")


@pytest.mark.parametrize("content", [{}, {"labels": []}, [], None, 1, "name", {"name": "a", "shard": 1}])
def test_what_is_no_such_dataclass_is_a_type_error(content: Any) -> None:
    with pytest.raises(TypeError):
        from_json(Kept, content)
