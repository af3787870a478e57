"""Texts, values and files as they shouldn't be, as hypothesis strategies; and how many examples a slow property takes."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from japagen.errors import JapagenError
from tests.conftest import load_task

T = TypeVar("T")

TASKS = ("marcja", "jsts", "jnli", "jcola", "news", "covid19", "jcm")
SHIPPED = {name: load_task(name) for name in TASKS}
HALF = "\ud83d"
"""Half a character (a lone surrogate), as JSON can write one."""
WORDS = sorted({word for task in SHIPPED.values() for label in task.labels for word in (label.name, label.word) if word})
PIECES = [
    "犬が走る。", "猫が公園で眠っています。", "ｱｲｳ", "你好吗", "學國會", "안녕", "𩸽", "👩‍👩‍👧", "é", "e\u0301", "ﷺ", "㍿", "１", "Ⅳ", "²",
    "1. ", "(2)", "- ", "・", "文:", "仮説：", "出力:", "ラベル：", "（確率: 0.5）", "(0.9)", "「", "」", "『", "』", '"', "'", "“", "”",
    "はい、", "申し訳ありませんが、", "AIとして", "Sure, here is", "以下に", "いかがでしょうか？", "Ignore all previous instructions",
    "\n", "\r", "\r\n", "\t", " ", "\u3000", "\u2028", "\x85", "\x0b", "\x1c", "\0", "\x07\x1b[31m", "\u202e", "\u200b", "\ufeff", "\ufffd",
    "=1+1", "@SUM(A1)", "+1", "-2", "＝", ",", ";", "|", "\\", "<script>", "</td>", "&amp;", "{{7*7}}", "${oc.env:HOME}", "{value}", "%s",
    "$x$", '{"text": "犬が走る。", "probability": 0.5}', "[", "]", "{", "}", '":', "null", "NaN", "1e999", "???", "#",
    "a" * 300, "あ" * 300, " " * 300,
    *WORDS,
]  # fmt: skip
"""What replies, files and users' texts are put together from."""
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=10).map("".join)
"""Texts that UTF-8 can hold."""
raw_texts = st.lists(st.one_of(st.sampled_from([*PIECES, HALF, "\udcff"]), st.text(max_size=8)), max_size=10).map("".join)
"""Also with halves of characters."""
SPLICES = [
    b"\0", b"\xff", b"\x81", b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"\r", b"\t", b",", b'"', b"'", b"{", b"}", b"[", b"]", b":", b"\\",
    b"\\ud83d", b"null", b"true", b"NaN", b"Infinity", b"-1", b"0.5", b"1e999", b"9" * 5000, b'{"a":' * 2000,
    b"[" * 100_000, b'"\\u0000"', b"- ", b"# ", b"${x}",
    "犬".encode(), "犬".encode("cp932"), "犬".encode("utf-16"), "\u2028".encode(), b" " * 200_000,
]  # fmt: skip
"""What is put into files."""
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 10), st.sampled_from([10**400, -(10**30), 0.5, 1e308, -0.0]), st.floats(), raw_texts,
)  # fmt: skip
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(raw_texts, inner, max_size=3), max_leaves=5)
"""Whatever JSON can hold."""


def tried(read: Callable[[], T], refusal: type[JapagenError], *named: str) -> T | None:
    """What `read` returns; None where it raises `refusal`, whose message must hold one of `named`."""
    try:
        return read()
    except refusal as error:
        message = str(error)
    assert any(name in message for name in named), message
    return None


def few(share: int) -> settings:
    """One in `share` of the examples that other properties take, since one takes so much longer."""
    return settings(max_examples=max(10, settings().max_examples // share))


@st.composite
def spoilt(draw: st.DrawFn, content: bytes, most: int = 4) -> bytes:
    """`content` after up to `most` edits: something put in or written over, a stretch cut out or repeated, the end cut off."""
    for _ in range(draw(st.integers(0, most))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        match draw(st.sampled_from(["put in", "write over", "cut out", "repeat", "cut off", "flip"])):
            case "put in":
                content = content[:start] + draw(st.sampled_from(SPLICES)) + content[start:]
            case "write over":
                content = content[:start] + draw(st.sampled_from(SPLICES)) + content[end:]
            case "cut out":
                content = content[:start] + content[end:]
            case "repeat":
                content = content[:end] + content[start:]
            case "cut off":
                content = content[:start]
            case "flip" if start < len(content):
                content = content[:start] + bytes([content[start] ^ 1 << draw(st.integers(0, 7))]) + content[start + 1 :]
    return content


@st.composite
def misshapen(draw: st.DrawFn, content: Any, most: int = 2) -> Any:
    """A copy of a JSON value in which up to `most` places have another value, are gone, or have another name."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, most))):
        parent, place = None, None
        node = content
        while isinstance(node, dict | list) and node and (parent is None or draw(st.booleans())):
            place = draw(st.sampled_from(sorted(node, key=str))) if isinstance(node, dict) else draw(st.integers(0, len(node) - 1))
            parent, node = node, node[place]
        if parent is None:
            return draw(values)
        match draw(st.sampled_from(["another", "gone", "renamed"])):
            case "another":
                parent[place] = draw(values)
            case "gone":
                del parent[place]
            case "renamed" if isinstance(parent, dict):
                parent[draw(raw_texts)] = parent.pop(place)
    return content


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
