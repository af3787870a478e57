"""`japagen export WHAT DIR`: a data set or a student out of the store, in a folder that others can load, with card and licences.

Files are checked against what was published. A data set loads with `datasets.load_dataset(DIR)`, a student with
`transformers.pipeline("text-classification", model=DIR)`; provenance.json says how it was made. Texts of gold data are not exported,
and texts of your own only in a data set in which an LLM labelled them: its card says so.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from japagen.commands.artifacts.artifacts import FEWEST_DIGITS, Artifact, artifacts, find_artifact
from japagen.commands.artifacts.export_folder import copy_artifact, listed, results_of, sources_of
from japagen.commands.terminal import add_store_option, make_console, make_parser, open_store, working
from japagen.curation.licenses import LicensedSource, name_prefixes
from japagen.errors import ConfigError, JapagenError, StoreError
from japagen.experiments.result import read_result
from japagen.store.files import expand_home
from japagen.store.stages import STAGES
from japagen.store.store import Store
from japagen.training.verdict import stored_verdict

_EXAMPLES = (
    "877001d0 mail-texts           # a data set, by the first digits of its key",
    "3f2a91c4 mail-classifier      # a student, or the student of a result",
    "3f2a91c4 mail-classifier --push me/mail-classifier",
)
_REPO = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def main(arguments: list[str]) -> int:
    """Exports one artifact."""
    parser = make_parser("export", __doc__, *_EXAMPLES)
    parser.add_argument(
        "what",
        metavar="WHAT",
        help=f"a data set, a student or its result: the first digits of its key ({FEWEST_DIGITS} or more) or its folder",
    )
    parser.add_argument("dir", type=Path, metavar="DIR", help="folder to write, new or empty; its name is the student's name")
    parser.add_argument(
        "--push", metavar="REPO", help="upload it too, into owner/name on the Hugging Face hub; made private where it is new"
    )
    add_store_option(parser)
    parsed = parser.parse_args(arguments)
    artifact, console = find_exported(open_store(parsed.store), parsed.what), make_console()
    target, sources = expand_home(parsed.dir).resolve(), sources_of(artifact)
    _check_target(target, artifact.store)
    if parsed.push is not None:
        check_push(artifact, sources, parsed.push)
    with working(f"copying {artifact.name}"):
        copy_artifact(artifact, target)
    _print_exported(artifact, target, sources or (), console)
    for warning in warnings_of(artifact, sources, target.name):
        console.print(f"warning: {warning}", style="yellow", soft_wrap=True, markup=False)
    if parsed.push is not None:
        with working(f"uploading to {parsed.push}"):
            push(artifact, target, parsed.push)
        console.print(f"pushed to {parsed.push}", soft_wrap=True, markup=False)
    return 0


def find_exported(store: Store, what: str) -> Artifact:
    """The data set or student that `what` names, or the student of the result that it names. StoreError where there is none."""
    try:
        artifact = find_artifact(store, what)
    except StoreError:
        _refuse_removed(store, what)
        raise
    if artifact.stage == "result":
        key = read_result(artifact.folder).keys.get("model")
        if key is None:
            raise StoreError(f"{artifact.name} has no student: the LLM answered itself, so there is nothing to export")
        if artifact.store.find("model", key) is None:
            raise _removed(artifact.store, key)
        return Artifact(artifact.store, "model", key)
    if artifact.stage not in ("dataset", "model"):
        raise StoreError(
            f"{artifact.name} is a {STAGES[artifact.stage].words}; what can be exported are data sets, students, and results' students"
        )
    return artifact


def _refuse_removed(store: Store, beginning: str) -> None:
    """StoreError where a key begins so whose student has been here and is gone."""
    keys = {read_result(result.folder).keys.get("model", "") for result in artifacts(store, STAGES["result"].folder)}
    for key in sorted(keys):
        if len(beginning) >= FEWEST_DIGITS and key.startswith(beginning.lower()):
            raise _removed(store, key) from None


def _removed(store: Store, key: str) -> StoreError:
    folders = listed(list(results_of(store, "model", key)))
    return StoreError(
        f"the weights of student {key} are not in the store any more (train.keep removes those that nobody needs); to have it trained again"
        f" remove {folders} and run its experiment with train.keep=all"
    )


def _check_target(target: Path, store: Store) -> None:
    if target.is_relative_to(store.root.resolve()):
        raise ConfigError(f"{target} lies in the store {store.root}; name a folder outside")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} exists and is no empty folder; name a new one")


def warnings_of(artifact: Artifact, sources: Sequence[LicensedSource] | None, name: str) -> list[str]:
    """Reasons against publishing it unchanged: a student that learned nothing, a name that a licence forbids, texts not synthetic."""
    if sources is None:
        return ["it was made by a version that kept no licences with it: read its card before you hand it on"]
    verdict = stored_verdict(artifact.meta()) if artifact.stage == "model" else None
    doubts = [f"the student is doubtful: {verdict.words}"] if verdict is not None and verdict.is_amiss else []
    found = [] if artifact.stage == "dataset" else [asked for prefix in name_prefixes(sources) if (asked := _misnamed(name, prefix))]
    return [
        *doubts,
        *found,
        *(f"it holds texts that no model wrote ({source.name}, licence {source.license})" for source in sources if source.role == "texts"),
    ]


def _misnamed(name: str, prefix: str) -> str:
    if name.startswith(prefix):
        return ""
    return f"a licence asks that the name of a student handed on begin with {prefix!r}, and {name!r} doesn't"


def check_push(artifact: Artifact, sources: Sequence[LicensedSource] | None, repo: str) -> None:
    """Raises ConfigError for what must not be uploaded under this name, or at all."""
    if not _REPO.fullmatch(repo):
        raise ConfigError(f"--push {repo}: a repository of the hub is named owner/name")
    if sources is None:
        raise ConfigError(
            f"--push {repo}: {artifact.name} was made by a version that kept no licences with it, so nobody can tell what they ask;"
            " export it, read its card and upload it yourself"
        )
    name = repo.partition("/")[2]
    for prefix in name_prefixes(sources) if artifact.stage == "model" else []:
        if asked := _misnamed(name, prefix):
            raise ConfigError(f"--push {repo}: {asked}; e.g. --push {repo.partition('/')[0]}/{prefix}-{name}")
    texts = next((source for source in sources if artifact.stage == "dataset" and source.role == "texts"), None)
    if texts is not None:
        raise ConfigError(f"--push {repo}: the data set holds texts that no model wrote ({texts.name}); such texts are not uploaded")


def push(artifact: Artifact, folder: Path, repo: str) -> None:
    """Uploads the folder. JapagenError, with the hub's words, where that fails; the folder stays."""
    from huggingface_hub import HfApi

    kind = artifact.stage
    try:
        api = HfApi()
        api.create_repo(repo, private=True, repo_type=kind, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, repo_type=kind, commit_message=f"japagen export of {artifact.name}")
    except Exception as error:  # its HTTP library's errors have no common base with its own
        cause = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
        raise JapagenError(f"{repo}: the upload failed ({cause}); log in by `hf auth login`; the folder {folder} is complete") from error


def _print_exported(artifact: Artifact, target: Path, sources: Sequence[LicensedSource], console: Console) -> None:
    """What is where, how to load it, and the licences of what it was made with."""
    size = sum(path.stat().st_size for path in target.iterdir()) / 1e6
    is_model = artifact.stage == "model"
    loads = (
        f"transformers.pipeline('text-classification', model={str(target)!r})" if is_model else f"datasets.load_dataset({str(target)!r})"
    )
    lines = [f"{target}: {'student' if is_model else STAGES[artifact.stage].words} {artifact.key}, {size:.2f} MB", f"load it: {loads}"]
    lines += [
        f"made with {source.role} {source.name}: {source.license}{f'. {source.note.strip()}' if source.note else ''}" for source in sources
    ]
    console.print(*lines, sep="\n", soft_wrap=True, markup=False)
