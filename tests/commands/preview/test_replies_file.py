"""Replies of a file: each is a text or has a reason, with the rules that changed it; no LLM takes part."""

import json
from pathlib import Path

import pytest

from japagen.commands.preview.preview import main
from japagen.errors import ConfigError, DataError

LINES = [
    "仮説：犬が走る。",
    json.dumps("承知しました。\n犬が走る。", ensure_ascii=False),
    json.dumps({"reply": "犬が走って", "finish_reason": "length"}, ensure_ascii=False),
    json.dumps({"index": 0, "text": "含意：犬が走る。", "finish_reason": "stop"}, ensure_ascii=False),
    "",
    '{"hypothesis": "犬が走る。"}',
    "お答えできません。",
]


@pytest.fixture
def replies(tmp_path: Path) -> Path:
    path = tmp_path / "replies.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


def test_each_reply_is_shown_as_json(replies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["task=jnli", f"replies={replies}", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["line"], row["text"], row["reason"], row["rules"]) for row in found] == [
        (1, "犬が走る。", None, ["heading"]),
        (2, "犬が走る。", None, ["line before the text"]),
        (3, None, "truncated", []),
        (4, None, "names its label", []),
        (6, "犬が走る。", None, ["JSON"]),
        (7, None, "refusal", []),
    ]
    assert found[1]["reply"] == "承知しました。\n犬が走る。"
    assert found[-1]["rejected_by"] == "short refusal"


def test_and_as_a_table(replies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["task=jnli", f"replies={replies}"]) == 0
    output = capsys.readouterr().out
    assert "3 of 6 accepted" in output
    assert "taken off: line before the text" in output
    assert "refusal: the LLM declines" in output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n \n", "has no reply"),
        ("犬".encode("cp932"), "is not UTF-8"),
        (None, "there is no such file"),
        ("犬".encode("utf-16"), "UTF-16"),
    ],
)
def test_a_file_without_replies_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "replies.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        main(["task=jnli", f"replies={path}"])


@pytest.mark.parametrize(("arguments", "message"), [(["--json"], "--json goes with replies=FILE"), (["replies="], "replies= is empty")])
def test_settings_that_say_nothing_are_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        main(["task=jnli", *arguments])
