"""A task asked for: by options, by typed answers, from a labelled file; what is written is what was said."""

import csv
import io
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from japagen.commands.tasks import new_task
from japagen.commands.tasks.draft import Answers, LabelAnswer, draft_task
from japagen.commands.tasks.task_file import check_text, task_yaml
from japagen.config.composition import compose_config
from japagen.errors import ConfigError, DataError, StoreError
from japagen.gold import read_eval
from japagen.tasks import Task

CSV = "本文,種別,番号\n注文したいのですが。,注文,1\nこの椅子はまだ買えますか。在庫を知りたいです。,在庫,2\n取り消せますか。,注文,3\n"
OPTIONS = ["--name", "mail", "--about", "窓口に届くメール", "--description", "注文の話", "--description", "在庫の話"]
Written = Callable[..., Task]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mails.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "one.csv").write_text("本文\n注文です\n", encoding="utf-8")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "uneven.jsonl").write_text('{"本文": "注文です", "種別": "注文"}\n{"本文": "在庫は"}\n', encoding="utf-8")
    return tmp_path


def written(name: str = "mail") -> Task:
    return compose_config([f"task={name}"], Path("my")).task


def typed(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{answer}\n" for answer in answers)))


def test_options_alone_write_a_task(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new_task.main([*OPTIONS, "--labels", "order,stock", "--words", "注文,在庫", "--yes", "--attribute", "channel=電話,手紙"]) == 0
    task = written()
    assert (task.name, task.kind, task.target, task.metric, task.language) == ("mail", "single", "classification", "accuracy", "ja")
    assert [(label.name, label.word) for label in task.labels] == [("order", "注文"), ("stock", "在庫")]
    assert task.labels[1].instruction == (
        "窓口に届くメールのうち「在庫」にあたるものを100文字以内で一つ書いてください。「在庫」は、在庫の話です。本文だけを出力してください。"
    )
    assert [(attribute.name, attribute.values) for attribute in task.attributes] == [("channel", ["電話", "手紙"])]
    output = capsys.readouterr().out
    assert "japagen preview --config-dir my task=mail llm=qwen3-swallow-8b\n" in output
    assert (
        "python run.py --config-dir my task=mail llm=qwen3-swallow-8b model=modernbert-ja-130m data=files data.eval_file=FILE\n" in output
    )


def test_a_file_proposes_columns_labels_and_length(folder: Path) -> None:
    assert new_task.main([*OPTIONS, "--file", "mails.csv", "--yes"]) == 0
    task = written()
    assert (task.fields, task.label_field, task.label_names, task.max_chars) == (["本文"], "種別", ["注文", "在庫"], 30)


def test_labels_may_be_renamed_from_what_the_file_says(folder: Path) -> None:
    assert new_task.main([*OPTIONS, "--file", "mails.csv", "--labels", "注文=order,在庫=stock", "--yes"]) == 0
    task = written()
    assert task.label_map == {"注文": "order", "在庫": "stock"}
    assert [label.word for label in task.labels] == ["注文", "在庫"], "the file's own words are proposed"
    config = compose_config(["task=mail", "data=files", "data.eval_file=mails.csv"], Path("my"))
    split = read_eval(task, config.data)
    assert split is not None
    assert [example.label for example in split.examples] == ["order", "stock", "order"]


def test_typed_answers_and_wrong_ones_asked_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = ["メール", "jnli", "mail", "問い合わせ", "mail.csv", "mails.csv", "tripple", "", "", "", "番", "種別", "Japanes", ""]
    answers += ["窓口のメール", "x", "40", "maybe", "", "注文", "注文,在庫", "", "", "注文の話。", "在庫の話"]
    typed(monkeypatch, *answers, "channel=電話,手紙; 季節=春,夏", "99", "")
    assert new_task.main([]) == 0
    task = written()
    assert (task.title, task.max_chars, task.label_names) == ("問い合わせ", 40, ["注文", "在庫"])
    assert "「注文」は、注文の話です。" in task.system
    assert [attribute.name for attribute in task.attributes] == ["channel", "季節"]
    output = capsys.readouterr().out
    assert "'メール' can't be a task's name" in output
    assert "'jnli' is a task that japagen ships" in output
    assert "mail.csv does not exist (did you mean 'mails.csv'?)" in output
    assert "'tripple' is not known" in output
    assert "column of mails.csv='番' is not known" in output
    assert "'x' is no whole number from 2" in output
    assert "1 label(s); a task needs 2 or more" in output
    assert "'Japanes' is no language that is known here (did you mean 'ja', Japanese?)" in output
    assert "'maybe' is not known" in output
    assert "'99' is none of these numbers" in output


def test_a_way_back_and_a_summary(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """'<' takes the last answer back; a number in the summary one answer, and what follows from it is asked again."""
    answers = ["mial", "<", "mail", "<", "", "メール", "mails.csv", "", "", "", "", "", "窓口のメール", "", ""]
    typed(monkeypatch, *answers, "注文=a,在庫=b", "", "", "甲の話", "乙の話", "", "12", "注文,在庫", "", "", "注文の話", "在庫の話", "")
    assert new_task.main([]) == 0
    task = written()
    assert (task.title, task.label_names) == ("メール", ["注文", "在庫"])
    assert "「在庫」は、在庫の話です。" in task.system
    output = capsys.readouterr().out
    assert "\n 12  The labels: 注文=a,在庫=b\n" in output
    assert "\n 12  The labels: 注文,在庫\n" in output
    assert output.count("What are the texts?\n") + output.count("What are the texts? (") == 1, "kept answers are not asked for again"


def test_a_list_where_one_name_is_asked_for_is_explained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = ["mail", "", "", "", "", "", "注文,在庫", "", "", "窓口のメール", "", "", "order,stock", "注文,在庫", "注文", "在庫"]
    typed(monkeypatch, *answers, "注文、取り消し、変更", "在庫の話", "", "")
    assert new_task.main([]) == 0
    task = written()
    assert (task.label_field, [label.word for label in task.labels]) == ("label", ["注文", "在庫"])
    assert "「注文」は、注文、取り消し、変更です。" in task.system
    output = capsys.readouterr().out
    assert "'注文,在庫' is a list; the name of one column of your file is asked here" in output
    assert "'注文,在庫' is a list; type the word for 'order' alone here" in output


def test_texts_without_labels_describe_a_task(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column of remarks is taken for no labels: it is named so, is empty in some rows, or holds texts."""
    remarks = [
        ["備考", "急ぎ", "急ぎ", "折り返し"],
        ["社内", "済", "", "済"],
        ["対応", *("電話で折り返しの上、担当の者に引き継いだ。" * 3,) * 2, "済"],
    ]
    for number, (name, *values) in enumerate(remarks):
        rows = [f"{text},{value}" for text, value in zip(("注文です", "在庫は", "まだですか"), values, strict=True)]
        (folder / "texts.csv").write_text("\n".join([f"本文,{name}", *rows]) + "\n", encoding="utf-8")
        options = ["--name", f"mail{number}", *OPTIONS[2:], "--file", "texts.csv", "--labels", "注文,在庫", "--yes"]
        assert new_task.main(options) == 0
        task = written(f"mail{number}")
        assert (task.fields, task.label_field, task.label_names) == (["本文"], "label", ["注文", "在庫"])
        assert "method=annotate data=files data.unlabelled_file=texts.csv\n" in capsys.readouterr().out


def test_a_label_column_can_be_refused(folder: Path) -> None:
    assert new_task.main([*OPTIONS, "--file", "mails.csv", "--label-field", "-", "--labels", "a,b", "--yes"]) == 0
    assert written().label_names == ["a", "b"]


def test_english_texts_get_english_proposals(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        "text,category",
        '"Where is my card?\nI moved last week.",card_arrival',
        '"Which rate do I get, and when?\nThanks",exchange_rate',
    ]
    (folder / "bank.csv").write_text("\n".join([*rows, "I cannot find my card,card_arrival"]) + "\n", encoding="utf-8")
    options = ["--name", "bank", "--about", "messages to a bank", "--description", "a card on its way", "--description", "rates"]
    assert new_task.main([*options, "--file", "bank.csv", "--yes"]) == 0
    task = written("bank")
    assert (task.language, task.label_field, task.several_lines, task.max_chars) == ("en", "category", True, 40)
    assert [(label.name, label.word) for label in task.labels] == [("card_arrival", "card arrival"), ("exchange_rate", "exchange rate")]
    assert "Write in English, with at most 40 characters, and output the text only." in task.labels[0].instruction
    output = capsys.readouterr().out
    assert "python run.py --config-dir my task=bank llm=qwen3-8b model=mmbert-small data=files data.eval_file=bank.csv\n" in output
    assert "llm=demo" not in output


@pytest.mark.parametrize(("said", "code"), [("英語", "en"), ("Deutsch", "de"), ("ko", "ko"), ("any", "")])
def test_a_language_is_taken_by_any_name(folder: Path, said: str, code: str) -> None:
    assert new_task.main([*OPTIONS, "--labels", "a,b", "--language", said, "--yes"]) == 0
    assert written().language == code


MANY = [f"label {number}, or A={number}" for number in range(77)]


def test_77_labels_with_commas_and_equals_signs_come_from_a_file(folder: Path) -> None:
    gold, table = io.StringIO(), io.StringIO()
    csv.writer(gold).writerows([["text", "category"], *([f"Text {number % 77}", MANY[number % 77]] for number in range(154))])
    csv.writer(table).writerows([["label", "description"], *([name, f"texts about {name}"] for name in MANY)])
    (folder / "gold.csv").write_text(gold.getvalue(), encoding="utf-8")
    (folder / "labels.csv").write_text(table.getvalue(), encoding="utf-8")
    options = ["--name", "many", "--about", "messages", "--file", "gold.csv", "--yes"]
    with pytest.raises(ConfigError, match=r"--description is missing, .*; for many labels give --labels-file FILE, a table"):
        new_task.main(options)
    assert new_task.main([*options, "--labels-file", "labels.csv"]) == 0
    task = written("many")
    assert (task.label_names, task.label_field) == (MANY, "category")
    assert f"(texts about {MANY[76]})." in task.labels[76].instruction


def test_labels_in_quotes_hold_commas_and_equals_signs(folder: Path) -> None:
    said = '"Yes, please","a=b"=c,0=no'
    options = ["--name", "mail", "--about", "メール", "--labels", said, "--words", '"はい、どうぞ",い,ろ', "--yes"]
    assert new_task.main([*options, *("--description", "あ") * 3]) == 0
    task = written()
    assert (task.label_names, task.label_map) == (["Yes, please", "c", "no"], {"a=b": "c", "0": "no"})
    assert task.labels[0].word == "はい、どうぞ"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,word\na,b\n", r"labels\.csv: column 'name' is not known; allowed: label, value, word, description, score"),
        ("label,word\na,b\n,c\n", r"labels\.csv:3: no label; each row needs a name"),
        ("label,score\na,1\nb,x\n", r"labels\.csv:3: score 'x' is no number"),
        ("label,word\na,b\na,c\n", "labels need names of their own"),
        ("", r"labels\.csv: no rows; it must hold a row for each label"),
    ],
)
def test_faults_of_a_labels_file_are_named(folder: Path, content: str, words: str) -> None:
    (folder / "labels.csv").write_text(content, encoding="utf-8")
    with pytest.raises((ConfigError, DataError), match=words):
        new_task.main([*OPTIONS, "--labels-file", "labels.csv", "--yes"])


def test_pairs_with_scores_in_another_language(folder: Path) -> None:
    arguments = ["--name", "sim", "--kind", "pair", "--target", "regression", "--language", "English", "--about", "captions", "--yes"]
    descriptions = ["--description", "nothing in common", "--description", "the same meaning"]
    assert new_task.main([*arguments, "--labels", "0,5", *descriptions]) == 0
    task = written("sim")
    assert (task.kind, task.metric, task.language, task.fields) == ("pair", "spearman", "en", ["sentence1", "sentence2"])
    assert task.label_scores() == [0.0, 5.0]
    assert "Write in English, with at most 300 characters, and output the sentence only." in task.first_instruction


@pytest.mark.parametrize("num", range(3, 18, 4))
def test_the_end_of_the_answers_leaves_no_file(num: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["mail", "", "", "", "", "", "", "", "窓口のメール", "", "", "a,b", "", "", "甲の話", "乙の話", ""]
    typed(monkeypatch, *answers[:num])
    with pytest.raises(ConfigError, match=r"the answers ended at ['\"].+['\"], so nothing was written; answer there, or with --\w+"):
        new_task.main([])
    assert not (folder / "my").exists()


def test_a_label_without_description_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"--description is missing, and there is no proposal .*: .* \(a\)"):
        new_task.main(["--name", "mail", "--about", "メール", "--labels", "a,b", "--yes"])


def test_a_folder_that_is_a_file_is_told(folder: Path) -> None:
    (folder / "my").touch()
    with pytest.raises(StoreError, match=r"mail\.yaml can't be written: .*; choose another --out"):
        new_task.main([*OPTIONS, "--labels", "a,b", "--yes"])


def test_the_next_command_names_the_file_as_it_must_be_typed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "問い合わせ.csv").write_text(CSV, encoding="utf-8")
    assert new_task.main([*OPTIONS, "--file", "問い合わせ.csv", "--yes"]) == 0
    typed_next = next(line for line in capsys.readouterr().out.splitlines() if "data=files" in line)
    config = compose_config(shlex.split(typed_next)[4:], Path("my"))
    assert config.data.eval_file == "問い合わせ.csv"


def test_an_existing_file_is_never_touched(folder: Path) -> None:
    path = folder / "my" / "task" / "mail.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mail\.yaml exists already and is left as it is"):
        new_task.main([*OPTIONS, "--labels", "a,b", "--yes"])
    assert path.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            ["--labels", "注文,修理", "--file", "mails.csv"],
            r"--labels: column '種別' of mails\.csv holds other labels too: '在庫'; name all",
        ),
        (["--labels", "a,a"], "--labels: labels need names of their own"),
        (["--labels", "a,b,c"], "--description gives 2, but there are 3 labels: a, b, c"),
        (["--labels", "a,b", "--max-chars", "many"], "--max-chars: 'many' is no whole number"),
        (["--labels", "a,b", "--attribute", "channel=電話"], "--attribute: 'channel=電話' must be NAME=VALUE,VALUE"),
        (["--labels", "a,b", "--title", " "], "--title: one line of text is needed here"),
        (["--labels", "a,b", "--kind", "pair", "--fields", "本文"], r"--fields: '本文' names 1 column\(s\); a pair task has 2"),
        (["--labels", "a,b", "--fields", "本文", "--label-field", "本文"], "--label-field: '本文' is a text column"),
        (["--labels", "a,b", "--target", "regression", "--scores", "1,x"], "--scores: '1,x': scores are numbers, separated by commas"),
        (["--labels", "a,b", "--target", "regression", "--scores", "1,1"], "--scores: 1 different scores; there are 2 labels: a, b"),
        (["--labels", "a,b", "--file", "empty.csv"], r"--file: empty\.csv: no rows; it must hold some texts"),
        (["--file", "one.csv"], "--labels is missing, and there is no proposal"),
        (["--labels", "a,b", "--language", "Klingonian"], r"--language: 'Klingonian' is no language that is known here.*ja \(Japanese\)"),
        (["--labels", "a,b", "--label-field", "a,b"], "--label-field: 'a,b' is a list; the name of one column"),
        (["--labels", 'a,"b'], "--labels: .* a double quote must open a part and close it"),
        (["--labels", "a,b", "--file", "uneven.jsonl"], r"--file: uneven\.jsonl:2: no 種別 here; all rows must have the same columns"),
        ([], "--labels is missing, and there is no proposal"),
    ],
)
def test_wrong_options_are_named_and_nothing_is_written(more: list[str], words: str, folder: Path) -> None:
    with pytest.raises((ConfigError, DataError), match=words):
        new_task.main([*OPTIONS, *more, "--yes"])
    assert not (folder / "my").exists()


def any_task(names: list[str], about: str, title: str, kind: str) -> Task:
    labels = tuple(LabelAnswer(name, f"{name}: ${{x}}", f"# {about}") for name in names)
    fields = ("text",) if kind == "single" else ("a", "b")
    return draft_task(Answers("any", title, kind, "classification", "ja", about, 50, labels, fields, "yes", {"k": ["1", "no"]}))


_texts = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20).map(str.strip)
_lines = _texts.filter(str.isprintable).filter(bool).filter(lambda text: text != "???")  # OmegaConf's missing value: refused, see below


@given(st.lists(_lines, min_size=2, max_size=3, unique=True), _lines, _lines, st.sampled_from(["single", "pair"]))
def test_whatever_is_said_is_read_back(names: list[str], about: str, title: str, kind: str) -> None:
    """Also what YAML or OmegaConf would take for something else: 'yes', '1', '1e3', '${x}', '# a', ': b', quotes."""
    task = any_task(names, about, title, kind)
    read = OmegaConf.create(task_yaml(task, "Origin."))
    assert OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Task), read)) == task


@pytest.mark.parametrize("names", [["a", "???"], ["???", "b"]])
def test_what_omegaconf_takes_for_missing_is_refused(names: list[str]) -> None:
    task = any_task(names, "x", "???", "single")
    with pytest.raises(ConfigError):
        check_text(task, task_yaml(task, "Origin."))


@pytest.mark.parametrize("names", [["Yes", "No"], ["on", "OFF"], ["~", "null"], ["010", "0x10"], ["1_000", "1:30"], ["0", "1.50"]])
def test_names_that_yaml_takes_for_something_else_are_written_in_quotes(names: list[str]) -> None:
    task = any_task(names, "x", names[0], "single")
    check_text(task, task_yaml(task, "Origin."))


def test_a_text_that_would_be_read_otherwise_is_refused() -> None:
    task = any_task(["1e3", "-.0e1"], "x: y # z \\\\${x}", "'", "pair")
    check_text(task, task_yaml(task, "Origin."))
    with pytest.raises(ConfigError, match=r"system, .*: what you gave can't be written as YAML so that it reads back the same"):
        check_text(task, task_yaml(task, "Origin.").replace("x: y", "x; y"))
