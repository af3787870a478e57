"""Files that others may read or write at the same moment."""

import threading
from pathlib import Path

import pytest

from japagen.store.files import write_whole


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
