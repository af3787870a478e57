"""Prompt files in the form of JapaGen's authors; the ones here are written for these tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from japagen.commands.tasks import new_task
from japagen.commands.tasks.paper_form import read_paper_form
from japagen.config.composition import compose_config
from japagen.errors import ConfigError, DataError
from japagen.prompts.writing import Prompting
from japagen.synthesis.stream import Stream

SINGLE: dict[str, Any] = {
    "task_name": "shop-mail",
    "content": "あなたは店に手紙を書く客です。\n決まり:\n- 80字以内で書いてください。",
    "genre": ["家具", "家電"],
    "labels": {
        "0": {"instruction": '"genre"をほめる手紙:'},
        "1": {"instruction": '"genre"に苦情を言う手紙:'},
        "2": {"instruction": "店とは関係のない手紙:"},
    },
}
PAIR: dict[str, Any] = {
    "task_name": "scene",
    "content": '写真の説明を書いてください。\n- 写真には"object"がいます。\n- 40字以内で書いてください。',
    "object": ["犬", "猫"],
    "first instruction": "写真の説明:",
    "labels": {"0": {"instruction": "別の話:"}, "5": {"instruction": "同じ話:"}},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(content: Any) -> Path:
    path = Path("theirs.json")
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def asked(name: str, knowledge: bool, label: str, first: str | None = None) -> list[str]:
    """The messages of one request of the task that was written."""
    task = compose_config([f"task={name}"], Path("my")).task
    stream = Stream("key", task, Prompting(True, knowledge), {}, 4, attributes=task.attributes if knowledge else ())
    ask = stream.ask(label, 0) if first is None else stream.second_ask(label, 0, first)
    return [message["content"] for message in ask.messages]


def test_a_single_task_with_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    save(SINGLE | {"author": "somebody", "labels": SINGLE["labels"] | {"2": {"instruction": "店とは関係のない手紙:", "num": 3}}})
    assert new_task.main(["--from", "theirs.json", "--labels", "praise,complaint,other", "--yes"]) == 0
    assert "theirs.json: ignored: author, labels.2.num" in capsys.readouterr().out
    task = compose_config(["task=shop-mail"], Path("my")).task
    assert (task.system, task.max_chars) == (SINGLE["content"], 80)
    assert task.label_map == {"0": "praise", "1": "complaint", "2": "other"}
    assert asked("shop-mail", False, "praise")[1] == "自由に選んだものをほめる手紙:"
    first, second = asked("shop-mail", True, "praise")[1].split("\n")
    assert first == "指定のものをほめる手紙:"
    assert second in ("指定のものは「家具」です。", "指定のものは「家電」です。")
    assert asked("shop-mail", True, "other")[1] == "店とは関係のない手紙:", "whose instruction names no list draws nothing"


def test_a_pair_task_with_levels() -> None:
    save(PAIR)
    assert new_task.main(["--from", "theirs.json", "--target", "regression", "--yes"]) == 0
    task = compose_config(["task=scene"], Path("my")).task
    assert (task.kind, task.label_scores(), task.max_chars, task.label_map) == ("pair", [0.0, 5.0], 40, {})
    system, first = asked("scene", False, "")
    assert (system, first) == ("写真の説明を書いてください。\n- 40字以内で書いてください。", "写真の説明:")
    drawn = asked("scene", True, "")[1]
    assert drawn in ("写真の説明:\n写真には「犬」がいます。", "写真の説明:\n写真には「猫」がいます。")
    assert asked("scene", True, "5", "犬がいる。") == [system, drawn, "犬がいる。", "同じ話:"]


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in SINGLE.items() if name != key}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (without("content"), "content missing; found: task_name, genre, labels"),
        (without("labels") | {"lables": {}}, r"labels missing \(did you mean 'lables'\?\)"),
        (SINGLE | {"labels": {"0": {"instruction": "a"}, "1": {"text": "b"}}}, r"labels\.1\.instruction missing"),
        (SINGLE | {"labels": {"0": {"instruction": "a"}}}, "labels must be an object of two or more"),
        (SINGLE | {"content": "次の文: {sentence}"}, r"content holds '\{sentence\}', which nothing is put in for"),
        (SINGLE | {"content": 3}, "content must be a text; found 3"),
        (PAIR | {"first instruction": '"object"の写真:'}, 'first instruction holds "object"; write it into `content`'),
        (PAIR | {"labels": {"0": {"instruction": '"object"の話'}, "1": {"instruction": "b"}}}, "in a pair task only `content` may"),
        (SINGLE | {"genre": ["家具"]}, "genre must list two or more different texts"),
        (SINGLE | {"content": '"genre"の店'}, "content holds nothing but sentences with placeholders"),
        (SINGLE | {"content": '店の客です。"genre"の店。"genre"の品。'}, 'content names "genre" in two sentences; name it in one'),
        (
            SINGLE | {"content": '店の客です。"genre"と"color"の話。', "color": ["赤", "青"]},
            'content names "genre" and "color" in one sentence; give each a sentence of its own',
        ),
        (
            SINGLE | {"labels": {"0": {"instruction": '"genre"と"color"'}, "1": {"instruction": "b"}}, "color": ["赤", "青"]},
            r"labels\.0\.instruction names two lists \(genre, color\)",
        ),
        (SINGLE | {"content": '店の客です。"genre"の店。'}, '"genre" stands in content and in labels; name it in one of them'),
        ([], "must be one JSON object"),
    ],
)
def test_what_is_missing_or_of_another_form_is_named(content: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_paper_form(save(content))


def test_a_list_that_no_text_names_is_ignored_aloud() -> None:
    form = read_paper_form(save(SINGLE | {"color": ["赤", "青"]}))
    assert form.ignored == ('color (no text holds "color")',)
    assert [attribute.name for attribute in form.attributes] == ["genre"]


def test_what_is_no_json_and_what_clashes() -> None:
    Path("theirs.json").write_text("task_name: x", encoding="utf-8")
    with pytest.raises(DataError, match="not JSON in UTF-8"):
        new_task.main(["--from", "theirs.json", "--yes"])
    Path("theirs.json").write_bytes(json.dumps(SINGLE, ensure_ascii=False).encode("iso2022_jp"))
    with pytest.raises(DataError, match=r"theirs\.json:1: ISO-2022-JP "):
        new_task.main(["--from", "theirs.json", "--yes"])
    with pytest.raises(DataError, match=r"nowhere\.json can't be read"):
        new_task.main(["--from", "nowhere.json", "--yes"])
    save(SINGLE)
    with pytest.raises(ConfigError, match="--about has no place beside --from"):
        new_task.main(["--from", "theirs.json", "--about", "手紙", "--yes"])
    with pytest.raises(ConfigError, match="--labels: 2 names, but the file has 3 labels"):
        new_task.main(["--from", "theirs.json", "--labels", "a,b", "--yes"])
