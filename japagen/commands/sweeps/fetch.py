"""`japagen fetch`: brings all that an experiment or a sweep loads onto this machine, for nodes without internet.

Takes what `python run.py` takes, sweeps and --config-dir included. Models come into the Hugging Face cache at one commit
(of their files only what vLLM and transformers load), published gold data into data.cache. What is there already is not
brought again, so the same command goes on after an interruption; a failure stays with its own line, and the exit code is 1.
"""

import errno
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from japagen.commands.terminal import make_console, make_parser, size
from japagen.config.composition import compose_sweep
from japagen.errors import ConfigError, FetchError, JapagenError
from japagen.experiments.needed import ENCODER, LLM_KIND, Needed, describe, needed
from japagen.gold.published import find_file
from japagen.hub.cache import cached_listing, loaded_files, look_up

GROUPS = {LLM_KIND: "llm", ENCODER: "model"}
SAME_FOR_ALL = ("seed", "draw", "synthesis.seed", "shots_seed", "num_per_label", "prompt", "curate")
"""Settings that change nothing of what is loaded."""
Say = Callable[[str], None]


def main(arguments: list[str]) -> int:
    """Brings what is missing, a line for each thing; 1 where something could not be had."""
    parser = make_parser("fetch", __doc__, "-m +experiment=paper")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings and sweeps of run.py: task=jnli,jsts +experiment=paper")
    parser.add_argument("-m", "--multirun", action="store_true", help="taken as run.py takes it; sweeps are read without it too")
    parser.add_argument("--config-dir", "-cd", type=Path, metavar="DIR", help="folder with groups of your own")
    parsed = parser.parse_intermixed_args(arguments)
    configs = compose_sweep(parsed.overrides, parsed.config_dir, SAME_FOR_ALL)
    things = needed(configs)
    _check_online(things)
    console = make_console()
    return bring(things, lambda line: console.print(line, soft_wrap=True, markup=False), console)


def bring(things: Sequence[Needed], say: Say, console: Console) -> int:
    """Brings each of `things`, names what failed at the end, else the commits; the exit code."""
    _set_progress_bars(console)
    commits: dict[str, str] = {}
    failed = []
    for item in things:
        try:
            if item.on_hub:
                line, commits[f"{GROUPS[item.kind]}={item.name}"] = _bring_model(item, say)
            else:
                line = _bring_file(item)
        except JapagenError as error:
            failed.append(item)
            line = f"FAILED: {error}"
        say(f"{describe(item)}: {line}")
        if item.note:
            say(f"  note: {item.note}")
    _say_commits(commits, say)
    if failed:
        say(f"{len(failed)} of {len(things)} could not be had, each for the cause above; the same command tries them again:")
        for item in failed:
            say(f"  {describe(item)}")
    return 1 if failed else 0


def _check_online(things: Sequence[Needed]) -> None:
    """Raises ConfigError, before anything else, where models are missing and the environment forbids to ask the hub."""
    from huggingface_hub import constants

    absent = [item for item in things if item.on_hub and not item.present]
    if absent and constants.HF_HUB_OFFLINE:
        listed = ", ".join(item.id for item in absent)
        raise ConfigError(f"HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set, so {listed} can't be downloaded; unset it for this command")


def _set_progress_bars(console: Console) -> None:
    from huggingface_hub.utils import disable_progress_bars

    if not console.is_terminal:
        disable_progress_bars()


def _bring_file(item: Needed) -> str:
    """The printed state of a folder or a gold file; downloads a publisher's file."""
    if item.gold is None:
        if not item.present:
            raise ConfigError(item.missing)
        return "present" if item.num_bytes is None else f"present, {size(item.num_bytes)}"
    path = find_file(item.gold.published, item.gold.file, item.gold.data, item.gold.hint)
    return f"{'present' if item.present else 'fetched'}, {size(path.stat().st_size)}"


def _bring_model(item: Needed, say: Say) -> tuple[str, str]:
    """The printed state of a hub model, and its commit; downloads the files that are loaded and missing."""
    from huggingface_hub import snapshot_download

    assert item.cache is not None
    try:
        commit, names, num_bytes = _on_hub(item)
    except FetchError as error:
        if not item.present or item.revision is None:
            raise
        return f"present, {size(item.num_bytes)}, commit {item.revision} (from the cache: {error})", item.revision
    before = look_up(item.id, commit, item.cache)
    if not before.missing:
        return f"present, {size(before.num_bytes)}, commit {commit}", commit
    _check_space(item, num_bytes)
    say(f"{describe(item)}: downloading up to {size(num_bytes)} at commit {commit} into {item.cache}")
    try:
        snapshot_download(item.id, revision=commit, allow_patterns=names, cache_dir=item.cache)
    except Exception as error:  # its HTTP library's errors have no common base with its own
        raise FetchError(_cause(item, error)) from error
    after = look_up(item.id, commit, item.cache)
    if after.missing:
        raise FetchError(f"the hub's files are not enough to load it: {after.missing}")
    return f"fetched, {size(after.num_bytes)}, commit {commit}", commit


def _on_hub(item: Needed) -> tuple[str, list[str], int]:
    """(commit, files that are loaded, their bytes) as the hub lists them; the cache notes which commit the revision's name means.

    That note is what runs without internet resolve `revision: null` by.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    assert item.cache is not None
    api = HfApi()
    try:
        commit = api.resolve_revision(item.id, revision=item.asked, cache_dir=item.cache).resolved
        sizes = cached_listing(item.id, commit, item.cache)  # a commit's files never change
        if sizes is None:
            tree = api.list_repo_tree(item.id, recursive=True, revision=commit)
            files = {file.path: file.size for file in tree if isinstance(file, RepoFile)}
            sizes = {name: files[name] for name in loaded_files(files)}
    except Exception as error:  # as above
        raise FetchError(_cause(item, error)) from error
    return commit, list(sizes), sum(sizes.values())


def _cause(item: Needed, error: Exception) -> str:
    """What went wrong, and what to do, in words."""
    from huggingface_hub import constants, errors

    root: BaseException = error
    while root.__cause__ is not None:
        root = root.__cause__
    reason = f"{type(root).__name__}: {(str(root).strip().splitlines() or [''])[0][:200]}"
    name = f"{GROUPS[item.kind]}.id"
    if isinstance(error, errors.GatedRepoError):
        return f"its makers ask for consent: accept the terms at {constants.ENDPOINT}/{item.id}, then set HF_TOKEN or run `hf auth login`"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"{constants.ENDPOINT} has no such model (or it is private: set HF_TOKEN); check {name}"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"it has no revision {item.asked!r}; check {name.replace('.id', '.revision')}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
        return f"{item.cache} can't be written ({reason}); make room, or set HF_HOME to another folder"
    return f"{constants.ENDPOINT} can't be reached, or the download broke off ({reason}); whole files are kept, the same command goes on"


def _check_space(item: Needed, num_bytes: int) -> None:
    assert item.cache is not None
    standing = next(folder for folder in (item.cache.absolute(), *item.cache.absolute().parents) if folder.exists())
    free = shutil.disk_usage(standing).free
    if free < num_bytes:
        raise FetchError(f"{size(num_bytes)} are needed and {standing} has {size(free)} free; make room, or set HF_HOME to another folder")


def _say_commits(commits: dict[str, str], say: Say) -> None:
    if not commits:
        return
    say("commits, to pin what a moving branch means today (revision: in each one's YAML):")
    for setting, commit in commits.items():
        say(f"  {setting}: revision {commit}")
    groups = [setting.partition("=")[0] for setting in commits]
    if len(set(groups)) == len(groups):
        say(f"  as overrides: {' '.join(f'{group}.revision={commit}' for group, commit in zip(groups, commits.values(), strict=True))}")
