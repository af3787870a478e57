"""Model ids: folders by checksum, hub models by commit, and words for what can't be had."""

from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from japagen.errors import ConfigError, UnreachableError
from japagen.hub import models

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_a_folders_revision_is_its_content(model: Path, tmp_path: Path) -> None:
    before = models.resolve_revision(str(model), None)
    (model / "README.md").write_text("a card", encoding="utf-8")
    models.folder_checksum.cache_clear()
    assert models.resolve_revision(str(model), None) == before, "cards and hidden files don't count"
    (model / "model.safetensors").write_bytes(b"weightz")
    models.folder_checksum.cache_clear()
    assert models.resolve_revision(str(model), None) != before


@pytest.mark.parametrize(("name", "words"), [("/no/such/folder", "there is no folder"), ("package:demo/nothing", "there is no folder")])
def test_a_missing_folder_is_named(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"model.id='{name}': {words}"):
        models.locate(name, "model.id")


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no config\.json"):
        models.locate(str(tmp_path))


def test_a_full_commit_is_taken_as_it_is() -> None:
    assert models.resolve_revision("owner/name", COMMIT) == COMMIT


def test_without_the_hub_the_local_cache_knows_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="the commit of revision 'main' can't be found"):
        models.resolve_revision("owner/cached", None)
    refs = tmp_path / "models--owner--cached" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(COMMIT, encoding="utf-8")
    assert models.resolve_revision("owner/cached", None) == COMMIT


@pytest.mark.parametrize("content", ['{"model_type": ', "[]", "あ".encode("cp932")])
def test_a_broken_configuration_is_named(tmp_path: Path, content: str | bytes) -> None:
    (tmp_path / "config.json").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError, match=r"model\.id='.*': .*config\.json can't be read \(.*\); get the model's files anew"):
        models.locate(str(tmp_path), "model.id")


def test_a_file_of_a_model_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "weights").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"weights can't be read \(No such file or directory\), and it is part of the model in"):
        models.resolve_revision(str(tmp_path), None)


def test_an_empty_id_names_no_folder() -> None:
    with pytest.raises(ConfigError, match=r"llm\.id='': there is no folder ''; give a hub id"):
        models.locate("", "llm.id")


@pytest.mark.parametrize(
    ("answer", "is_word"), [(RepositoryNotFoundError, True), (RevisionNotFoundError, True), (HfHubHTTPError, False), (OSError, False)]
)
def test_the_hubs_word_that_there_is_no_such_model_is_no_lack_of_network(
    monkeypatch: pytest.MonkeyPatch, answer: type[Exception], is_word: bool
) -> None:
    def refuse(api: HfApi, model_id: str, **options: object) -> None:
        raise answer("404") if answer is OSError else answer("404", response=httpx.Response(404, request=httpx.Request("GET", "https://h")))  # type: ignore[call-arg]

    monkeypatch.setattr(HfApi, "model_info", refuse)
    with pytest.raises(ConfigError, match=r"the commit of revision 'main' can't be found") as caught:
        models.resolve_revision(f"owner/{answer.__name__}", None)
    assert isinstance(caught.value, UnreachableError) != is_word


def test_a_file_that_cannot_be_fetched_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model_id: str, name: str, revision: str | None) -> str:
        raise OSError("no such host")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(ConfigError, match=r"id='owner/name': config\.json can't be fetched \(.*\); bring it here .* \(japagen fetch\)"):
        models.find_file("owner/name", None, "config.json")
