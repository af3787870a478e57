"""A hub model's files: which of them vLLM and transformers load, and which of those the local cache has.

No network: what a commit holds is known from the listing that huggingface_hub keeps of downloads, or, where other programs
filled the cache, judged by what no model can do without: config, tokenizer, weights with every shard of their index.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from japagen.output import shorten
from japagen.store.files import expand_home

_DOCS = (".md", ".gitattributes", ".gitignore", "LICENSE", "LICENSE.txt", "NOTICE", "USE_POLICY")
_MEDIA = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".mp3", ".mp4", ".wav", ".pdf", ".ipynb", ".parquet", ".zip", ".gz", ".tar")
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack", ".onnx", ".onnx_data", ".ot", ".npz", ".tflite")
_TRAINING = ("training_args.bin", "optimizer.bin", "scheduler.bin", "random_states.bin")
_TOKENIZERS = (".model", ".tiktoken", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "tekken.json")
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_TEMPLATES = "additional_chat_templates/"
SHOWN = 3
"""Missing files that are named; more are counted."""


def loaded_files(names: Iterable[str]) -> list[str]:
    """The files of a repository that are loaded: all at its root but other formats of the weights, documents and pictures.

    Weights are the safetensors, or the .bin files where there are none: in folders (`original/`, `onnx/`) and in other formats
    they are there for other programs.
    """
    root = [name for name in names if "/" not in name or name.startswith(_TEMPLATES)]
    weights = [name for name in root if name.endswith(".safetensors")]
    weights = weights or [name for name in root if name.endswith(".bin") and name not in _TRAINING]
    return sorted(weights + [name for name in root if not name.endswith((*_DOCS, *_MEDIA, *_WEIGHTS))])


@dataclass(frozen=True)
class Cached:
    """What the cache has of a model at one commit."""

    commit: str | None
    missing: str
    """In words; empty: all that is loaded is there."""
    num_bytes: int | None
    """Bytes of the files that are loaded, where that is known."""


def look_up(model_id: str, revision: str | None, cache: Path) -> Cached:
    """What `cache` (a HF_HUB_CACHE folder) has of a hub model; `revision` may be a branch whose commit the cache noted."""
    from huggingface_hub.file_download import REGEX_COMMIT_HASH, repo_folder_name

    folder = cache / repo_folder_name(repo_id=model_id, repo_type="model")
    name = revision or "main"
    if REGEX_COMMIT_HASH.fullmatch(name):
        commit = name
    elif (ref := folder / "refs" / name).is_file():
        commit = ref.read_text(encoding="utf-8").strip()
    else:
        return Cached(None, f"not in the cache {cache}", None)
    snapshot = folder / "snapshots" / commit
    listing = cached_listing(model_id, commit, cache)
    known = None if listing is None else sum(listing.values())
    if not snapshot.is_dir():
        others = [path.name[:8] for path in sorted((folder / "snapshots").glob("*"))]
        other = f", which has {', '.join(others)} of it" if others else ""
        return Cached(commit, f"commit {commit[:8]} is not in the cache {cache}{other}", known)
    missing = missing_files(snapshot, listing)
    num_bytes = known if missing else sum((snapshot / name).stat().st_size for name in loaded_files(_names(snapshot)))
    return Cached(commit, f"commit {commit[:8]} lacks {shorten(missing, SHOWN)}" if missing else "", num_bytes)


def missing_files(snapshot: Path, listing: Mapping[str, int] | None) -> list[str]:
    """What a snapshot lacks; `listing`: the commit's loaded files with their bytes, None where it isn't known."""
    names = _names(snapshot)
    if listing is not None:
        absent = [name for name, size in listing.items() if not _is_whole(snapshot / name, size)]
        return absent or _missing_weights(snapshot, names)
    absent = [] if "config.json" in names else ["config.json"]
    if not any(name.endswith(_TOKENIZERS) for name in names):
        absent.append("a tokenizer's files")
    return absent + _missing_weights(snapshot, names)


def _missing_weights(snapshot: Path, names: list[str]) -> list[str]:
    for index in _INDEXES:
        if index in names:
            try:
                shards = set(json.loads((snapshot / index).read_text(encoding="utf-8"))["weight_map"].values())
            except (ValueError, KeyError, TypeError, AttributeError):
                return [f"a readable {index}"]
            return sorted(shard for shard in shards if not (snapshot / shard).is_file())
    has_weights = any(name.endswith((".safetensors", ".bin")) for name in loaded_files(names))
    return [] if has_weights else ["weights (safetensors, or .bin)"]


def _names(snapshot: Path) -> list[str]:
    return [path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()]


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def cached_listing(model_id: str, commit: str, cache: Path) -> dict[str, int] | None:
    """Loaded files of a commit -> bytes, as huggingface_hub noted them at a download; None: it did not."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        sizes = {file.path: file.size for file in get_cached_repo_tree(model_id, revision=commit, cache_dir=cache)}
    except CachedRepoTreeNotFoundError:
        return None
    return {name: sizes[name] for name in loaded_files(sizes)}


def cache_folder(environment: Mapping[str, str]) -> Path:
    """The hub cache that jobs with `environment` (site.environment) over ours use."""
    from huggingface_hub import constants

    if not {"HF_HUB_CACHE", "HF_HOME"} & set(environment):
        return Path(constants.HF_HUB_CACHE)
    merged = {**os.environ, **environment}
    return expand_home(merged.get("HF_HUB_CACHE") or f"{merged['HF_HOME']}/hub")
