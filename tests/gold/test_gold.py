"""Where gold data come from: sample, the user's files, a mirror, the cache, a download; and real data's sizes where they are here."""

import hashlib
import json
import logging
import socket
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from japagen.config.schema import Data
from japagen.errors import ConfigError, DataError, JapagenError
from japagen.gold import Split, clusters_checksum, draw_exemplars, published, read_also_scored, read_eval, read_train, read_unlabelled
from japagen.tasks import Published, SplitFile, Task, check_task
from tests.conftest import MIRROR, Compose, load_task, needs_mirror

OPEN_URL = published.open_url
HOST = "https://data.example.org"
CONTENT = '{"q": {"text": "一つ"}, "label": "a"}\n{"q": {"text": "二つ"}, "label": "b"}\n'.encode()


@pytest.fixture(autouse=True)
def _neutral_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAPAGEN_DATA_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")


def make_task(**changes: object) -> Task:
    """A published task with two labels, whose valid file is CONTENT (its text column is nested); `changes`: to its SplitFile."""
    task = load_task("jcola")
    task.name, task.fields, task.label_map = "tiny", ["text"], {"a": "acceptable", "b": "unacceptable"}
    file = SplitFile(f"{HOST}/tiny/valid.json", "Tiny/v1/valid.json", hashlib.sha256(CONTENT).hexdigest(), 2, {"text": "q.text"})
    for key, value in changes.items():
        setattr(file, key, value)
    task.published = Published("Tiny v1", "CC BY 4.0", "https://tiny.example.org", {"valid": file, "hard_valid": file})
    return task


def message(call: Callable[[], object], error: type[JapagenError] = DataError) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def read_valid(task: Task, data: Data) -> Split:
    split = read_eval(task, data, "valid")
    assert split is not None
    return split


def put(folder: Path, content: bytes = CONTENT) -> Path:
    path = folder / "Tiny" / "v1" / "valid.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_no_gold_data_is_none() -> None:
    task = make_task()
    for data in (Data(), Data(source="files")):
        assert read_train(task, data) is None
        assert read_eval(task, data) is None


def test_user_files(tmp_path: Path) -> None:
    for name in ("my_train.csv", "my_eval.csv"):
        (tmp_path / name).write_text(f"sentence,label\n{name}の文です,0\n", encoding="utf-8")
    data = Data(source="files", train_file=str(tmp_path / "my_train.csv"), eval_file=str(tmp_path / "my_eval.csv"))
    train, scored = read_train(load_task("jcola"), data), read_eval(load_task("jcola"), data)
    assert train is not None
    assert scored is not None
    assert (train.name, train.source, train.examples[0].texts) == ("train", "files: my_train.csv", ("my_train.csvの文です",))
    assert (scored.name, scored.source, scored.examples[0].label) == ("valid", "files: my_eval.csv", "unacceptable")


def test_rows_that_belong_together(tmp_path: Path) -> None:
    """jnli: `cluster_field` and `cluster_until`; a file without the column has rows by themselves."""
    task, path = load_task("jnli"), tmp_path / "pairs.csv"
    header, rows = "sentence1,sentence2,label", ["犬が走る。,犬がいる。,entailment", "犬がいる。,犬が走る。,neutral"]
    data = Data(source="files", eval_file=str(path))
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    split = read_eval(task, data)
    assert split is not None
    assert ([example.cluster for example in split.examples], clusters_checksum([split])) == (["", ""], None)
    ids = ["10125-11130-11134", "10126_9-1-2"]
    path.write_text("\n".join([f"{header},yjcaptions_id", *map(",".join, zip(rows, ids, strict=True))]), encoding="utf-8")
    clustered = read_eval(task, data)
    assert clustered is not None
    assert [example.cluster for example in clustered.examples] == ["10125", "10126_9"]
    assert clustered.checksum == split.checksum
    assert clusters_checksum([clustered]) not in (None, clusters_checksum([split, clustered]))
    path.write_text("\n".join([f"{header},yjcaptions_id", f"{rows[0]},10125-1-2", f"{rows[1]},-7"]), encoding="utf-8")
    with pytest.raises(DataError, match=r"pairs.csv:3: column 'yjcaptions_id' \(task.cluster_field\) has no cluster: '-7'"):
        read_eval(task, data)
    with pytest.raises(ConfigError, match="cluster_until='-' ends the value of cluster_field, which is empty"):
        check_task(replace(task, cluster_field=""))


@needs_mirror
@pytest.mark.parametrize(("name", "num"), [("jnli", 1089), ("jsts", 1347)])
def test_real_pairs_belong_to_pictures(name: str, num: int) -> None:
    split = read_eval(load_task(name), Data(source="published", mirror=str(MIRROR)))
    assert split is not None
    assert len({example.cluster for example in split.examples}) == num


def test_a_task_without_published_data_says_what_to_set() -> None:
    task = make_task()
    task.published = Published()
    for told in (message(lambda: read_train(task, Data(source="published"))), message(lambda: read_eval(task, Data(source="published")))):
        assert "task 'tiny' has no published gold data" in told
        assert "data.eval_file=…" in told


@pytest.mark.parametrize(("name", "part"), [("marcja", "Amazon has withdrawn"), ("covid19", "only the ids of these tweets are published")])
def test_texts_that_nobody_can_have(tmp_path: Path, name: str, part: str) -> None:
    task, data = load_task(name), Data(source="published", mirror=str(tmp_path / "none"), train_source="none")
    for read in (read_train, read_eval, lambda task, data: read_eval(task, data, "train")):
        told = message(lambda read=read: read(task, data))  # type: ignore[misc]
        assert told.startswith(f"data.source='published': task {name!r} ({task.published.name}) can't be downloaded: ")
        assert part in told
        assert "data=files data.eval_file=FILE" in told
        assert "WRIME" in told
    assert read_eval(task, Data()) is not None


def test_a_task_says_which_split_is_scored(tmp_path: Path, composed: Compose) -> None:
    for name, split in [("banking77", "test"), ("jcm", "valid"), ("jcola", "valid")]:
        assert composed("data=published", f"task={name}").data.split == split
        assert composed("data=published", f"task={name}", "data.split=other").data.split == "other"
        assert composed(f"task={name}").data.split == "valid", "the sample's"
    put(tmp_path)
    task, data = make_task(), Data(source="published", mirror=str(tmp_path), split="hard_valid")
    task.published.scored, task.published.also_scored = "hard_valid", ["valid"]
    assert list(read_also_scored(task, data)) == ["valid"]
    assert "e.g. data.split=hard_valid" in message(lambda: read_eval(task, data, "train"))


def test_splits_scored_beside_valid(tmp_path: Path) -> None:
    put(tmp_path)
    task, data = make_task(), Data(source="published", mirror=str(tmp_path))
    assert read_also_scored(task, data) == {}
    task.published.also_scored = ["hard_valid"]
    hard = read_eval(task, data, "hard_valid")
    assert read_also_scored(task, data) == {"hard_valid": hard}
    assert read_also_scored(task, Data(source="published", mirror=str(tmp_path), split="hard_valid")) == {}
    assert read_also_scored(task, Data()) == read_also_scored(task, Data(source="files")) == {}
    task.published.also_scored = ["hard"]
    assert "published.also_scored='hard' is not known (did you mean 'hard_valid'?)" in message(lambda: check_task(task), ConfigError)
    task.published.also_scored = ["train"]
    assert "allowed: valid, hard_valid" in message(lambda: check_task(task), ConfigError)


@pytest.mark.parametrize(("gold_chars", "read"), [(None, "　長い文です。 "), (8, "　長い文です。 "), (4, "長い文で"), (6, "長い文です。")])
def test_texts_are_cut(tmp_path: Path, gold_chars: int | None, read: str) -> None:
    task, path = make_task(), tmp_path / "mine.jsonl"
    task.gold_chars = gold_chars
    path.write_text(json.dumps({"text": "　長い文です。 ", "label": "a"}), encoding="utf-8")
    for found in (read_eval(task, Data(source="files", eval_file=str(path))), read_train(task, Data(source="files", train_file=str(path)))):
        assert found is not None
        assert found.examples[0].texts == (read,)


@pytest.mark.parametrize("source", ["sample", "published", "files"])
def test_the_train_split_is_never_scored(source: str) -> None:
    assert "data.split='train' can't be scored" in message(lambda: read_eval(load_task("jsts"), Data(source=source, split="train")))


def test_unknown_splits_list_the_known_ones() -> None:
    told = message(lambda: read_eval(make_task(), Data(source="published", split="vaild")))
    assert told == "data.split='vaild' is no split of Tiny v1 (did you mean 'valid'?); allowed: valid, hard_valid"
    assert "allowed: valid" in message(lambda: read_eval(load_task("jsts"), Data(split="test")))
    assert "Tiny v1 has no train split; it has valid" in message(lambda: read_train(make_task(), Data(source="published")))
    unknown = Data(source="published", train_source="jnli_ne")
    assert "did you mean 'jnli_neg'?" in message(lambda: read_train(load_task("jnli"), unknown), ConfigError)


@pytest.mark.parametrize("by_env", [False, True])
def test_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_env: bool) -> None:
    put(tmp_path)
    data = Data(source="published", mirror=None if by_env else str(tmp_path), cache=str(tmp_path / "unused"))
    monkeypatch.setenv("JAPAGEN_DATA_MIRROR", str(tmp_path if by_env else tmp_path / "unused"))
    split = read_valid(make_task(), data)
    assert [(example.texts, example.label) for example in split.examples] == [(("一つ",), "acceptable"), (("二つ",), "unacceptable")]
    assert (split.name, split.source, split.license) == ("valid", "Tiny v1 valid", "CC BY 4.0")
    assert not (tmp_path / "unused").exists()


def test_a_file_that_the_mirror_lacks_is_not_taken_from_elsewhere(tmp_path: Path) -> None:
    put(tmp_path / "cache")
    told = message(lambda: read_valid(make_task(), Data(source="published", mirror=str(tmp_path), cache=str(tmp_path / "cache"))))
    assert f"{tmp_path}/Tiny/v1/valid.json does not exist: the mirror folder (data.mirror={tmp_path})" in told
    assert f"{HOST}/tiny/valid.json" in told


def test_sums_and_numbers_of_rows_are_checked(tmp_path: Path) -> None:
    path, data = put(tmp_path), Data(source="published", mirror=str(tmp_path))
    told = message(lambda: read_valid(make_task(sha256="0" * 64), data))
    assert f"{path}: sha256 is {hashlib.sha256(CONTENT).hexdigest()}, but the configuration has {'0' * 64}" in told
    assert len(read_valid(make_task(sha256=""), data).examples) == 2
    assert f"{path}: 2 rows, but there must be 3" in message(lambda: read_valid(make_task(rows=3), data))
    assert len(read_valid(make_task(rows=1, where={"label": "b"}), data).examples) == 1
    assert "1 rows where {'label': 'b'}, but there must be 2" in message(lambda: read_valid(make_task(where={"label": "b"}), data))
    wrong = make_task(columns={"text": "q.txt"})
    assert f"{path}:1: no column 'q.txt' (did you mean 'q.text'?); columns here: q.text, label" in message(lambda: read_valid(wrong, data))
    assert ":1: no column 'kind'" in message(lambda: read_valid(make_task(where={"kind": "b"}), data))


class Server:
    """A publisher on this machine: what it answers, and how often it was asked."""

    def __init__(self) -> None:
        self.content, self.announced, self.num_requests = CONTENT, len(CONTENT), 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.num_requests += 1
                self.send_response(200 if self.path == "/tiny/valid.json" else 404)
                self.send_header("Content-Length", str(owner.announced))
                self.end_headers()
                self.wfile.write(owner.content)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def open_local(url: str) -> HTTPResponse:
        response: HTTPResponse = urllib.request.urlopen(url.replace(HOST, server.url), timeout=10)
        return response

    monkeypatch.setattr(published, "open_url", open_local)
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def test_download_fills_the_cache_once_and_is_logged(tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    data = Data(source="published", cache=str(tmp_path / "cache"))
    with caplog.at_level(logging.INFO, logger="japagen"):
        first, second = read_valid(make_task(), data), read_valid(make_task(), data)
    assert first == second
    assert server.num_requests == 1
    assert [entry.name for entry in (tmp_path / "cache" / "Tiny" / "v1").iterdir()] == ["valid.json"]
    told = f"downloading Tiny v1 (licence CC BY 4.0, https://tiny.example.org) from {HOST}/tiny/valid.json"
    assert [record.getMessage() for record in caplog.records] == [told]


def test_a_spoilt_file_in_the_cache_is_named(tmp_path: Path, server: Server) -> None:
    path = put(tmp_path, b"spoilt")
    told = message(lambda: read_valid(make_task(), Data(source="published", cache=str(tmp_path))))
    assert f"{path}: sha256 is" in told
    assert "delete it there to have it downloaded again" in told
    assert server.num_requests == 0


@pytest.mark.parametrize(
    ("changes", "answer", "part"),
    [
        ({}, {"announced": len(CONTENT) + 1}, f"the connection ended after {len(CONTENT)} of {len(CONTENT) + 1} bytes"),
        ({}, {"content": b"x" * len(CONTENT)}, "the publisher's file has changed"),
        ({"url": f"{HOST}/gone.json"}, {}, "HTTP Error 404"),
        ({"url": "http://data.example.org/tiny/valid.json"}, {}, "only https addresses are allowed"),
        ({"url": "file:///etc/passwd"}, {}, "only https addresses are allowed"),
    ],
)
def test_a_download_that_fails_leaves_nothing(
    tmp_path: Path, server: Server, changes: dict[str, str], answer: dict[str, object], part: str
) -> None:
    for key, value in answer.items():
        setattr(server, key, value)
    assert part in message(lambda: read_valid(make_task(**changes), Data(source="published", cache=str(tmp_path))))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_no_network_names_url_cache_and_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"https://127.0.0.1:{unused.getsockname()[1]}/valid.json"
        told = message(lambda: read_valid(make_task(url=url), Data(source="published", cache=str(tmp_path))))
    assert told.startswith(f"{url} can't be downloaded to {tmp_path}/Tiny/v1/valid.json (URLError")
    assert "set JAPAGEN_DATA_MIRROR (data.mirror) to a folder that has Tiny/v1/valid.json" in told


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, server: Server) -> None:
    (tmp_path / "cache").write_text("a file, no folder", encoding="utf-8")
    assert f"to {tmp_path}/cache/Tiny/v1/valid.json" in message(
        lambda: read_valid(make_task(), Data(source="published", cache=str(tmp_path / "cache")))
    )


def test_a_response_that_left_https_is_refused(server: Server) -> None:
    assert "only https addresses are allowed" in message(lambda: OPEN_URL(f"{server.url}/tiny/valid.json"))
    assert server.num_requests == 1


REAL = Data(source="published", mirror=str(MIRROR))
NUM_ROWS = {
    "jsts": {"valid": 1457, "test": 1589},
    "jnli": {"valid": 2434, "test": 2508},
    "jcola": {"valid": 865, "out_of_domain_valid": 685},
    "jcm": {"valid": 1996, "test": 3992},
    "banking77": {"test": 3080},
}
NUM_PER_LABEL = {
    ("jnli", "valid"): {"neutral": 1350, "contradiction": 735, "entailment": 349},
    ("jnli", "test"): {"neutral": 1365, "contradiction": 776, "entailment": 367},
    ("jcola", "valid"): {"acceptable": 726, "unacceptable": 139},
    ("jcm", "valid"): {"permissible": 1058, "wrong": 938},
    ("jcm", "test"): {"permissible": 2124, "wrong": 1868},
    ("banking77", "test"): dict.fromkeys(load_task("banking77").label_names, 40),
}


@needs_mirror
@pytest.mark.parametrize(("name", "split"), [(name, split) for name, splits in NUM_ROWS.items() for split in splits])
def test_real_evaluation_splits(name: str, split: str) -> None:
    read = read_eval(load_task(name), REAL, split)
    assert read is not None
    assert len(read.examples) == NUM_ROWS[name][split]
    if (name, split) in NUM_PER_LABEL:
        assert Counter(example.label for example in read.examples) == NUM_PER_LABEL[name, split]
    assert len({example.id for example in read.examples}) == len(read.examples)


@needs_mirror
def test_real_jcola_is_also_scored_out_of_domain() -> None:
    assert {name: len(split.examples) for name, split in read_also_scored(load_task("jcola"), REAL).items()} == {"out_of_domain_valid": 685}
    assert read_also_scored(load_task("jsts"), REAL) == {}


@needs_mirror
def test_real_train_splits() -> None:
    for name, num_rows in [("jsts", 12451), ("jcola", 6919), ("jcm", 13975), ("banking77", 10003)]:
        train = read_train(load_task(name), REAL)
        assert train is not None
        assert len(train.examples) == num_rows


@needs_mirror
def test_real_csv_files_keep_quotes_and_line_breaks() -> None:
    """Banking77 quotes cells with commas and line breaks; JCommonsenseMorality's first column has no name."""
    banking, moral = (read_train(load_task(name), REAL) for name in ("banking77", "jcm"))
    assert banking is not None
    assert moral is not None
    assert sum("\n" in example.texts[0] for example in banking.examples) == 10
    assert {label: num for label, num in Counter(row.label for row in banking.examples).items() if num < 42} == {
        "contactless_not_working": 35, "virtual_card_not_working": 41
    }  # fmt: skip
    assert len({example.id for example in banking.examples}) == len(banking.examples)
    assert Counter(example.label for example in moral.examples) == {"permissible": 7515, "wrong": 6460}


@needs_mirror
def test_real_jsts_gives_eighteen_exemplars_at_three_shots() -> None:
    task = load_task("jsts")
    train = read_train(task, REAL)
    assert train is not None
    exemplars = draw_exemplars(task, train, 3, seed=0)
    assert sum(len(rows) for rows in exemplars.values()) == 18
    assert all(abs((row.score or 0.0) - float(level)) < 0.31 for level, rows in exemplars.items() for row in rows)


@needs_mirror
@pytest.mark.skipif((MIRROR / "JGLUE/jnli-v1.3/train-v1.3.json").exists(), reason="this mirror has JNLI's train split")
def test_real_jnli_train_is_missing_and_its_stand_in_is_named_not_taken() -> None:
    told = message(lambda: read_train(load_task("jnli"), REAL))
    assert "JGLUE/jnli-v1.3/train-v1.3.json does not exist" in told
    assert "data.train_source=jnli_neg (823 rows)" in told


@needs_mirror
def test_real_jnli_stand_in() -> None:
    train = read_train(load_task("jnli"), Data(source="published", mirror=str(MIRROR), train_source="jnli_neg"))
    assert train is not None
    assert len(train.examples) == 823
    assert train.source == "jnli_neg, type=original (stands in for JGLUE JNLI v1.3 train)"
    with (MIRROR / "JNLI-Neg/jnli-neg-v1.1/jnli-neg-train-v1.1.jsonl").open(encoding="utf-8") as file:
        first = json.loads(file.readline())
    assert train.examples[0].texts == (first["sentence1"]["sentence"], first["sentence2"]["sentence"])
    assert train.examples[0].label == first["gold_label"]


def test_unlabelled_texts_need_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("sentence\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.csv: no rows, but data\.unlabelled_file needs at least one"):
        read_unlabelled(load_task("jcola"), str(path))
