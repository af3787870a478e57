"""Model ids to files and commits: the hub, a local folder, or a folder of this package.

Keys of streams and models take a model's id and revision, so a revision must be a fixed point: a commit for hub models
(a moving `main` is resolved before anything starts), a checksum of the files for local folders.
"""

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path

from japagen.errors import ConfigError, UnreachableError
from japagen.hub.cache import look_up
from japagen.store.files import expand_home

PACKAGE = Path(__file__).parents[1]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def is_on_hub(model_id: str) -> bool:
    """Whether an id is a hub's owner/name rather than a folder."""
    return not model_id.startswith("package:") and bool(_HUB_ID.fullmatch(model_id)) and not Path(model_id).exists()


def locate(model_id: str, key: str = "id") -> str:
    """What transformers and vLLM load: an absolute folder, or the hub id as it is.

    `package:` ids lead into this package. Raises ConfigError, naming `key`, where a folder is missing or holds no model.
    """
    if is_on_hub(model_id):
        return model_id
    packaged = model_id.startswith("package:")
    folder = PACKAGE / model_id.removeprefix("package:") if packaged else expand_home(model_id)
    wanted = "give a hub id (owner/name) or a folder that holds a model"
    if not model_id or not folder.is_dir():
        raise ConfigError(f"{key}={model_id!r}: there is no folder {str(folder) if model_id else ''!r}; {wanted}")
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{key}={model_id!r}: {folder} holds no config.json, so it is no Hugging Face model folder; {wanted}")
    _check_readable(folder / "config.json", f"{key}={model_id!r}")
    return str(folder.resolve())


def check_q4(name: str, model_id: str, key: str) -> None:
    """Raises ConfigError where a name ends in -q4 and its id is no folder of 4-bit weights.

    Figures of dequantised weights must never be read as those of the full-precision model. `key`: llm, judge or model.
    """
    if not name.endswith("-q4"):
        return
    if is_on_hub(model_id) and "q4" not in model_id.lower():
        raise ConfigError(
            f"{key}.id={model_id!r} is on the hub, and {key}={name!r} names 4-bit weights in a folder; give that folder ({key}.id=FOLDER),"
            f" or call the hub's model by another name ({key}.name={name.removesuffix('-q4')})"
        )
    if not is_on_hub(model_id) and not expand_home(model_id).is_dir():
        raise ConfigError(
            f"{key}={name!r} is weights in a folder, which no hub has, and there is no folder {str(expand_home(model_id).absolute())!r};"
            f" set JAPAGEN_WEIGHTS to the folder that holds {Path(model_id).name}, or give {key}.id=FOLDER"
        )


def _check_readable(path: Path, what: str) -> None:
    try:
        if not isinstance(json.loads(path.read_text(encoding="utf-8")), dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{what}: {path} can't be read ({error}); get the model's files anew") from error


def resolve_revision(model_id: str, revision: str | None, key: str = "id") -> str:
    """The commit of a hub model, or the checksum of a local folder's files.

    Hub models: a full commit is taken as it is; anything else is asked of the hub, or, where that can't be reached, read
    from the local cache. Raises ConfigError where neither knows; UnreachableError where the hub might.
    """
    location = locate(model_id, key)
    if not is_on_hub(model_id):
        return folder_checksum(location)
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    return _hub_commit(model_id, revision or "main", key)


@lru_cache
def _hub_commit(model_id: str, revision: str, key: str) -> str:
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError
    from huggingface_hub.file_download import repo_folder_name

    try:
        commit = HfApi().model_info(model_id, revision=revision, timeout=10).sha
    except Exception as error:  # its HTTP library's errors have no common base with its own; each is told below
        cached = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model_id, repo_type="model") / "refs" / revision
        if cached.is_file():
            return cached.read_text(encoding="utf-8").strip()
        is_answer = isinstance(error, RepositoryNotFoundError | RevisionNotFoundError | HFValidationError)
        raise (ConfigError if is_answer else UnreachableError)(
            f"{key}={model_id!r}: the commit of revision {revision!r} can't be found: the model is not in the local cache and the hub"
            f" answered {type(error).__name__}: {str(error).splitlines()[0][:200]}; bring it here where there is internet"
            " (japagen fetch), or give a folder or a full commit"
        ) from error
    if commit is None:
        raise ConfigError(f"{key}={model_id!r}: the hub names no commit for revision {revision!r}")
    return commit


@lru_cache
def folder_checksum(folder: str) -> str:
    """sha256 over the names and contents of a model folder's files (hidden files and Markdown left out). ConfigError for one unread."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        relative = path.relative_to(folder)
        if path.is_dir() or path.suffix == ".md" or any(part.startswith(".") for part in relative.parts):
            continue
        try:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ConfigError(f"{path} can't be read ({error.strerror}), and it is part of the model in {folder}") from error
        digest.update(f"{relative.as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def lacks_file(model_id: str, revision: str | None, name: str) -> bool:
    """Whether a model is known to have no such file; False where it has one, or the hub can't be asked."""
    location = locate(model_id)
    if not is_on_hub(model_id):
        return not (Path(location) / name).is_file()
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        hf_hub_download(model_id, name, revision=revision)
    except LocalEntryNotFoundError:  # not in the cache, and no hub: the cache knows only what it has whole
        return not look_up(model_id, revision, Path(constants.HF_HUB_CACHE)).missing
    except EntryNotFoundError:
        return True
    except Exception:  # as below
        return False
    return False


def find_file(model_id: str, revision: str | None, name: str) -> Path | None:
    """One of a model's files: in its folder, the local cache, or fetched from the hub; None where there is none."""
    location = locate(model_id)
    if not is_on_hub(model_id):
        path = Path(location) / name
        return path if path.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return Path(hf_hub_download(model_id, name, revision=revision))
    except EntryNotFoundError:
        return None
    except Exception as error:  # as above
        cause = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
        raise ConfigError(
            f"id={model_id!r}: {name} can't be fetched ({cause}); bring it here where there is internet (japagen fetch), or give a folder"
        ) from error
