"""What experiments load, told from the caches alone: each thing once, and in words what isn't on this machine."""

import copy
import json
import socket
import time
from pathlib import Path

import pytest
from huggingface_hub import constants

from japagen.errors import ConfigError
from japagen.experiments.needed import Needed, check_present, needed
from japagen.hub.cache import cache_folder, loaded_files
from japagen.hub.models import PACKAGE
from tests.conftest import Compose

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = ["llm.id=owner/llm", "model.id=owner/encoder"]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds owner/encoder and owner/llm."""
    folder = tmp_path / "hub"
    for name in ("encoder", "llm"):
        put(folder, f"owner/{name}", {path.name: path.read_bytes() for path in (PACKAGE / "demo" / name).iterdir()})
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return folder


def put(cache: Path, model_id: str, files: dict[str, bytes], listed: dict[str, int] | None = None) -> Path:
    """A snapshot as huggingface_hub lays it out; `listed`: the file listing that its downloads note."""
    folder = cache / f"models--{model_id.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    for part in (snapshot, folder / "refs", folder / "trees"):
        part.mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    for name, content in files.items():
        (snapshot / name).write_bytes(content)
    if listed is not None:
        tree = {name: {"size": size, "blob_id": "0"} for name, size in listed.items()}
        (folder / "trees" / f"{COMMIT}.json").write_text(json.dumps({"format_version": 1, "files": tree}), encoding="utf-8")
    return snapshot


def one(things: list[Needed], kind: str) -> Needed:
    (found,) = (thing for thing in things if thing.kind == kind)
    return found


def test_of_a_repository_only_what_is_loaded_counts() -> None:
    own = ["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    own += ["code.py", "chat_template.jinja", "additional_chat_templates/tool.jinja", "spiece.model"]
    other = ["README.md", "LICENSE", ".gitattributes", "plot.png", "model.gguf", "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack"]
    other += ["onnx/model.onnx", "original/model.safetensors", "optimizer.pt", "training_args.bin"]
    assert loaded_files(own + other) == sorted(own)
    assert loaded_files(["config.json", "pytorch_model.bin", "training_args.bin"]) == ["config.json", "pytorch_model.bin"]


def test_each_thing_is_named_once(composed: Compose, cache: Path) -> None:
    configs = [
        composed("task=jcola", "data=published", f"data.mirror={cache}", *HUB, f"shots={shots}", f"seed={seed}")
        for shots in (0, 2)
        for seed in (0, 1)
    ]
    things = needed(configs)
    assert [(thing.kind, thing.id, thing.present) for thing in things[:2]] == [
        ("llm", "owner/llm", True),
        ("encoder", "owner/encoder", True),
    ]
    assert [thing.name for thing in things[2:]] == ["JCoLA v1.0 valid", "JCoLA v1.0 out_of_domain_valid", "JCoLA v1.0 train"]
    assert {thing.missing for thing in things[2:]} == {"there is no such file"}
    assert (things[0].revision, things[0].num_bytes) == (COMMIT, sum(path.stat().st_size for path in llm_files()))


def llm_files() -> list[Path]:
    return [path for path in (PACKAGE / "demo" / "llm").iterdir() if path.suffix != ".md"]


@pytest.mark.parametrize("settings", [["method=gold"], ["llm.base_url=http://127.0.0.1:9/v1"]])
def test_no_llm_where_none_is_started(composed: Compose, cache: Path, settings: list[str]) -> None:
    assert [thing.kind for thing in needed([composed(*HUB, *settings)])] == ["encoder"]


def test_packaged_models_and_sample_data_are_always_there(composed: Compose) -> None:
    things = needed([composed("shots=2")])
    assert [(thing.kind, thing.present, thing.on_hub) for thing in things] == [("llm", True, False), ("encoder", True, False)]
    check_present([composed("shots=2")], "")


def test_what_is_missing_is_told_with_the_command_that_brings_it(composed: Compose, cache: Path) -> None:
    configs = [composed("task=jnli", "data=published", f"data.mirror={cache}", "llm.id=owner/other", "model.id=owner/encoder", "shots=1")]
    with pytest.raises(ConfigError) as caught:
        check_present(configs, "-m task=jnli shots=1 'llm.id=owner/other'")
    message = str(caught.value)
    assert "3 of 4 things" in message
    assert f"llm demo (owner/other): not in the cache {cache}" in message
    assert "train-v1.3.json): there is no such file; or take a stand-in: data.train_source=jnli_neg" in message
    assert message.endswith("japagen fetch -m task=jnli shots=1 'llm.id=owner/other'")


def test_another_commit_is_not_the_one_asked_for(composed: Compose, cache: Path) -> None:
    wanted = "f" * 40
    thing = one(needed([composed(*HUB, f"llm.revision={wanted}")]), "llm")
    assert (thing.revision, thing.missing) == (wanted, f"commit ffffffff is not in the cache {cache}, which has 01234567 of it")


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (["config.json"], "config.json"),
        (["tokenizer.json", "tokenizer_config.json"], "a tokenizer's files"),
        (["model.safetensors"], "weights (safetensors, or .bin)"),
    ],
)
def test_half_a_model_is_missing(composed: Compose, cache: Path, gone: list[str], words: str) -> None:
    for name in gone:
        (cache / "models--owner--llm" / "snapshots" / COMMIT / name).unlink()
    assert one(needed([composed(*HUB)]), "llm").missing == f"commit 01234567 lacks {words}"


def test_every_shard_of_the_index_must_be_there(composed: Compose, cache: Path) -> None:
    weights = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    files = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors.index.json": json.dumps(weights).encode()}
    snapshot = put(cache, "owner/sharded", files | {"model-1.safetensors": b"1"})
    config = composed("llm.id=owner/sharded")
    assert one(needed([config]), "llm").missing == "commit 01234567 lacks model-2.safetensors"
    (snapshot / "model-2.safetensors").write_bytes(b"2")
    assert one(needed([config]), "llm").present
    (snapshot / "model-1.safetensors").unlink()
    (snapshot / "model-1.safetensors").symlink_to(cache / "gone")
    assert one(needed([config]), "llm").missing == "commit 01234567 lacks model-1.safetensors"


def test_the_hubs_listing_tells_what_else_is_loaded(composed: Compose, cache: Path) -> None:
    files = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": b"12345"}
    sizes = {name: len(content) for name, content in files.items()}
    snapshot = put(cache, "owner/listed", files, sizes | {"own_code.py": 7, "README.md": 9, "onnx/model.onnx": 9})
    thing = one(needed([composed("llm.id=owner/listed")]), "llm")
    assert (thing.missing, thing.num_bytes) == ("commit 01234567 lacks own_code.py", 16)
    (snapshot / "own_code.py").write_bytes(b"7 bytes")
    assert one(needed([composed("llm.id=owner/listed")]), "llm").present
    (snapshot / "model.safetensors").write_bytes(b"123")
    assert one(needed([composed("llm.id=owner/listed")]), "llm").missing == "commit 01234567 lacks model.safetensors", "cut short"


def test_programs_that_fetching_cannot_bring_are_told(composed: Compose, cache: Path) -> None:
    config = composed("model=deberta-v2-base-japanese", "llm.id=owner/llm")
    assert "fetch can't bring" in one(needed([config]), "encoder").note
    with pytest.raises(ConfigError, match=r"fetch can't bring .*[Jj]uman"):
        check_present([config], "")


def test_own_files_must_be_there(composed: Compose, tmp_path: Path) -> None:
    there = tmp_path / "valid.csv"
    there.write_text("x", encoding="utf-8")
    things = needed([composed("data=files", f"data.eval_file={there}", f"data.train_file={tmp_path}/train.csv", "shots=1")])
    assert [(thing.name, thing.present, thing.num_bytes) for thing in things[2:]] == [("jnli valid", True, 1), ("jnli train", False, None)]


def test_withdrawn_data_are_missing_with_their_cure(composed: Compose) -> None:
    assert "data=files data.eval_file=FILE" in one(needed([composed("task=marcja", "data=published")]), "gold").missing


def test_one_archive_for_all_splits_is_one_thing(composed: Compose, tmp_path: Path) -> None:
    things = needed([composed("task=news", "data=published", f"data.mirror={tmp_path}", "shots=1")])
    assert one(things, "gold").id == str(tmp_path / "ldcc" / "ldcc-20140209.tar.gz")


def test_the_sites_environment_says_which_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    assert cache_folder({}) == cache
    assert cache_folder({"HF_HOME": "/shared/hf"}) == Path("/shared/hf/hub")
    assert cache_folder({"HF_HOME": "/shared/hf", "HF_HUB_CACHE": "/fast"}) == Path("/fast")


def test_a_thousand_experiments_are_looked_through_quickly(composed: Compose, cache: Path) -> None:
    first = composed(*HUB, "data=published", f"data.mirror={cache}")
    configs = []
    for seed in range(1000):
        config = copy.copy(first)
        config.seed = seed
        configs.append(config)
    started = time.monotonic()
    assert len(needed(configs)) == 3
    assert time.monotonic() - started < 5
