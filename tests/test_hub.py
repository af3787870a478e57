"""Model ids: folders by checksum, hub models by commit, and words for what can't be had."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from japagen import hub
from japagen.errors import ConfigError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_a_folders_revision_is_its_content(model: Path, tmp_path: Path) -> None:
    before = hub.resolve_revision(str(model), None)
    (model / "README.md").write_text("a card", encoding="utf-8")
    hub.folder_checksum.cache_clear()
    assert hub.resolve_revision(str(model), None) == before, "cards and hidden files don't count"
    (model / "model.safetensors").write_bytes(b"weightz")
    hub.folder_checksum.cache_clear()
    assert hub.resolve_revision(str(model), None) != before


@pytest.mark.parametrize(("name", "words"), [("/no/such/folder", "there is no folder"), ("package:demo/nothing", "there is no folder")])
def test_a_missing_folder_is_named(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"model.id='{name}': {words}"):
        hub.locate(name, "model.id")


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no config\.json"):
        hub.locate(str(tmp_path))


def test_a_full_commit_is_taken_as_it_is() -> None:
    assert hub.resolve_revision("owner/name", COMMIT) == COMMIT


def test_without_the_hub_the_local_cache_knows_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="the commit of revision 'main' can't be found"):
        hub.resolve_revision("owner/cached", None)
    refs = tmp_path / "models--owner--cached" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(COMMIT, encoding="utf-8")
    assert hub.resolve_revision("owner/cached", None) == COMMIT
