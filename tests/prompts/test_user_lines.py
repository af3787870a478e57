"""Files of persons and of texts: what is read, and what is refused with file and line."""

from pathlib import Path

import pytest

from japagen.errors import DataError
from japagen.prompts.scaffold import JAPANESE
from japagen.prompts.user_lines import read_lines


def write(folder: Path, content: str | bytes) -> str:
    path = folder / "persons.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_one_person_a_line_in_their_order(tmp_path: Path) -> None:
    content = "\ufeff# 書き手\n小さな店の主人\n\n  受験を控えた学生  \r\n#退職した人\n{value}が好きな教師"
    attribute = read_lines("personas", write(tmp_path, content), JAPANESE)
    assert attribute.values == ["小さな店の主人", "受験を控えた学生", "{value}が好きな教師"]
    assert (attribute.name, attribute.labels) == ("persona", [])
    assert "{value}" in attribute.phrase


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("学生\n教師\n# 同じ\n学生\n", r"persons\.txt:4: prompt\.personas: '学生' is in line 1 already"),
        ("学生\n", r"persons\.txt: prompt\.personas must hold two or more persons, one a line; found 1"),
        ("# だれもいない\n\n", "found 0"),
        ("# persons\n学生\n教師\n".encode("iso2022_jp"), r"persons\.txt:2: ISO-2022-JP .*iconv -f ISO-2022-JP -t UTF-8"),
        ("学生\n".encode() + "教師\n".encode("cp932"), r"persons\.txt:2: prompt\.personas must be UTF-8"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_lines("personas", write(tmp_path, content), JAPANESE)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"prompt\.personas: .*none\.txt can't be read: No such file"):
        read_lines("personas", str(tmp_path / "none.txt"), JAPANESE)


def test_texts_show_their_style(tmp_path: Path) -> None:
    attribute = read_lines("style", write(tmp_path, "届いた。よい。\n箱がつぶれてた\n"), JAPANESE)
    assert (attribute.name, attribute.values) == ("style", ["届いた。よい。", "箱がつぶれてた"])
    with pytest.raises(DataError, match=r"prompt\.style must hold two or more texts, one a line; found 1"):
        read_lines("style", write(tmp_path, "届いた。\n"), JAPANESE)
