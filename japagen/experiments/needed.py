"""What a list of experiments loads that isn't in this checkout: LLMs, encoders, gold files, and which of them are on this machine.

Nodes of many clusters have no internet. So submission asks here first, from the caches alone and without any network, and
`japagen fetch` brings what is missing. Each thing is looked at once, however many experiments share it.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from japagen.config.llm import LLM
from japagen.config.schema import Config, Data, Encoder
from japagen.errors import ConfigError, DataError
from japagen.experiments.planning import reads_train
from japagen.gold import files_read
from japagen.gold.published import local_path
from japagen.hub.cache import cache_folder, look_up
from japagen.hub.models import is_on_hub, locate
from japagen.store.keys import canonical_json
from japagen.tasks import Published, SplitFile, Task
from japagen.training.words import check_splitter

LLM_KIND, ENCODER, GOLD = KINDS = "llm", "encoder", "gold"


@dataclass(frozen=True)
class GoldFile:
    """A publisher's file, with all that downloading it needs."""

    published: Published
    file: SplitFile
    data: Data
    hint: str = ""


@dataclass(frozen=True)
class Needed:
    """One thing that experiments load."""

    kind: str
    """llm, encoder or gold."""
    name: str
    """Its name in the configuration; gold: publisher and the first split that lies in the file."""
    id: str
    """Hub id, folder, or a file's path."""
    revision: str | None = None
    """Hub models: the commit, where the configuration or the cache knows it."""
    missing: str = ""
    """What isn't on this machine, in words; empty: all is there."""
    num_bytes: int | None = None
    on_hub: bool = False
    asked: str | None = None
    """Hub models: the revision as configured."""
    cache: Path | None = None
    """Hub models: the HF_HUB_CACHE folder that jobs read."""
    gold: GoldFile | None = None
    """Gold data: how a publisher's file is had; None for files of the user's own."""
    note: str = ""
    """What fetching can't bring."""

    @property
    def present(self) -> bool:
        return not self.missing


def needed(configs: Sequence[Config]) -> list[Needed]:
    """LLMs, encoders, gold files, each once, in the order in which experiments name them."""
    found: dict[Hashable, Needed] = {}
    for key, look in _things(configs):
        if key not in found:
            found[key] = look()
    return sorted(found.values(), key=lambda thing: KINDS.index(thing.kind))


def check_present(configs: Sequence[Config], overrides: str) -> None:
    """Raises ConfigError, with the command that brings it, where anything is not on this machine.

    `overrides`: the sweep's overrides as the user gave them, for that command.
    """
    things = needed(configs)
    absent = [thing for thing in things if not thing.present]
    if not absent:
        return
    lines = [f"  {describe(thing)}: {thing.missing}" + (f" ({thing.note})" if thing.note else "") for thing in absent]
    raise ConfigError(
        f"{len(absent)} of {len(things)} things that these experiments load are not on this machine, and jobs run without internet"
        " (site.offline=true):\n" + "\n".join(lines) + f"\nbring them where there is internet: japagen fetch {overrides}".rstrip()
    )


def describe(thing: Needed) -> str:
    """'llm qwen3-swallow-8b (tokyotech-llm/Qwen3-Swallow-8B-RL-v0.2)'."""
    return f"{thing.kind} {thing.name} ({thing.id})"


def _things(configs: Sequence[Config]) -> Iterator[tuple[Hashable, Callable[[], Needed]]]:
    """(what makes it the same thing, what looks at it) for all that each experiment loads."""
    gold_seen = set()
    for config in configs:
        llm, encoder, cache = config.llm, config.model, cache_folder(config.site.environment)
        judge = config.judge if config.curate.judging != "off" else None
        for model in (llm if config.method.kind.has_llm else None, judge):
            if model is not None and model.base_url is None:
                yield (LLM_KIND, model.id, model.revision, cache), partial(_llm, model, cache)
        if config.method.kind.has_student:
            yield (ENCODER, encoder.id, encoder.revision, encoder.word_splitter, cache), partial(_encoder, encoder, cache)
        train = reads_train(config)
        use = (config.task.name, train, canonical_json(asdict(config.data)))
        if use not in gold_seen:
            gold_seen.add(use)
            yield from _gold(config.task, config.data, train)


def _llm(llm: LLM, cache: Path) -> Needed:
    note = ""
    if "gpt-oss" in llm.id.lower():
        note = "its first start also loads Harmony's vocabulary from OpenAI, which fetch can't bring: set TIKTOKEN_ENCODINGS_BASE"
    return _model(LLM_KIND, llm.name, llm.id, llm.revision, cache, note)


def _encoder(encoder: Encoder, cache: Path) -> Needed:
    note = ""
    try:
        check_splitter(encoder)
    except ConfigError as error:
        note = f"fetch can't bring the programs it needs: {error}"
    if encoder.word_splitter and not note:
        note = f"its word splitter {encoder.word_splitter} must be on the nodes too: fetch can't bring programs"
    return _model(ENCODER, encoder.name, encoder.id, encoder.revision, cache, note)


def _model(kind: str, name: str, model_id: str, revision: str | None, cache: Path, note: str) -> Needed:
    if not is_on_hub(model_id):
        try:
            locate(model_id, f"{'llm' if kind == LLM_KIND else 'model'}.id")
        except ConfigError as error:
            return Needed(kind, name, model_id, missing=str(error), note=note)
        return Needed(kind, name, model_id, note=note)
    cached = look_up(model_id, revision, cache)
    return Needed(kind, name, model_id, cached.commit, cached.missing, cached.num_bytes, True, revision, cache, note=note)


def _gold(task: Task, data: Data, train: bool) -> Iterator[tuple[Hashable, Callable[[], Needed]]]:
    try:
        files = files_read(task, data, train)
    except DataError as error:
        yield (GOLD, task.name, str(error)), partial(Needed, GOLD, task.name, f"data={data.source}", missing=str(error))
        return
    for split, file in files.items():
        path = file if isinstance(file, Path) else local_path(file, data)
        yield (GOLD, path), partial(_gold_file, task, data, split, file, path)


def _gold_file(task: Task, data: Data, split: str, file: SplitFile | Path, path: Path) -> Needed:
    num_bytes = path.stat().st_size if path.is_file() else None
    missing = "" if num_bytes is not None else "there is no such file"
    if isinstance(file, Path):
        return Needed(GOLD, f"{task.name} {split}", str(path), missing=missing, num_bytes=num_bytes)
    sources = task.published.train_sources
    hint = f"; or take a stand-in: data.train_source={', '.join(sources)}" if split == "train" and sources else ""
    gold = GoldFile(task.published, file, data, hint)
    return Needed(GOLD, f"{task.published.name} {split}", str(path), missing=missing and missing + hint, num_bytes=num_bytes, gold=gold)
