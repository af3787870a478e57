"""Why a stage would be made anew: the stored artifact of its stage that is nearest to it, and what differs between the two.

In: the identities that an experiment's keys are made of, and those in the meta.json files of a store. An identity is taken apart into
leaves with dotted names, which are those of settings where a setting decides the leaf. The nearest artifact is the one with the fewest
differing leaves, of several the newest. An input made by another stage is a key in an identity: where it differs, the leaves that differ
between the two inputs count.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from japagen.errors import StoreError
from japagen.store.files import read_json
from japagen.store.keys import canonical_json, stage_key
from japagen.store.stages import STAGES
from japagen.store.store import Store

NONE = "none"
"""In place of a leaf that one side lacks."""
MOST_DIFFERENCES = 12
"""Lines of differences shown of one artifact."""
NEAR = 4
"""Differing leaves up to which a plan gives a stage's own ones as the reason."""
MOST_COMPARED = 20
"""Artifacts of a stage for which a plan looks for reasons."""
MOST_REASONS = 8
"""Lines of a plan."""
_LONG = 60
"""Characters above which a value isn't shown."""
_INPUTS = {
    "stream": {"prompt.attributes_key": "attributes"},
    "likelihoods": {"texts": "stream"},
    "judgements": {"texts": "stream"},
    "dataset": {name: name for name in ("stream", "likelihoods", "judgements", "answers")},
    "result": {"model": "model", "answers": "answers"},
    "quality": {"dataset": "dataset", "student": "model"},
}
"""Stage -> leaf -> the stage whose key it is. A model's `rows` may hold a key and gold rows, see `_rows`."""
_ROWS = re.compile(r"(?P<dataset>[0-9a-f]{32})?\+?(?P<gold>gold:[^*]*)?(\*(?P<weight>.*))?")
_POSITIONS = {
    "contamination": ("contamination", "gold rows"),
    "judging": ("judging", "judge_threshold"),
    "prior": ("prior", "prior_values"),
    "task": ("task.target", "task.metric", "labels"),
    "question": ("task.question", "questions_version", "label words"),
}
"""Leaves that are lists -> names of their entries."""
_NAMES = {
    "prompt.name": "prompt", "prompt.kind": "task.kind", "prompt.system": "task.system",
    "prompt.first_instruction": "task.first_instruction", "prompt.variants": "variants of the instructions",
    "prompt.personas": "prompt.personas", "prompt.attributes": "task.attributes",
    "texts_per_request": "synthesis.texts_per_request", "temperatures": "synthesis.temperatures", "verbalized": "synthesis.verbalized",
    "several_lines": "task.several_lines", "fields": "task.fields", "metric": "task.metric", "gold": "gold rows",
    "filters.near_duplicates": "curate.near_duplicates", "filters.max_same_first": "curate.max_same_first",
    **{f"filters.{name}": f"task.{name}" for name in ("language", "min_chars", "max_chars", "several_lines")},
    "contamination": "curate.contamination", "judging": "curate.judging", "judge_threshold": "curate.judge_threshold",
    "prior": "curate.prior", "prior_values": "label frequencies of curate.prior", "keep_likeliest": "curate.keep_likeliest",
    "filters.genre": "task.genre", "filters.label_words": "task.label_words", "exemplars_as": "form of exemplars",
    "encoder": "model", "how.answer": "method.answer", "how.calibrate": "method.calibrate", "how.max_tokens": "method.max_tokens",
    "how.wording": "method.template", "how.order": "seed", "how.stop": "llm.stop", "texts": "texts asked about",
}  # fmt: skip
"""Leaf, or the beginning of it -> setting. All others are called as their leaf is."""
_TEXTS = ("prompt.system", "prompt.first_instruction", "prompt.labels.", "prompt.variants", "prompt.attributes.", "task.question", "gold")
"""Beginnings of leaves that are texts or checksums, whose values say nothing in a line."""
_PLURALS = ("gold rows", "variants of the instructions", "texts asked about")
_ORDER = " in order"
_OF_STAGE = {("stream", "seed"): "synthesis.seed", ("judgements", "how.answer"): "curate.judge_answer"}
_DIGITS = re.compile(r"[0-9a-f]{13,}")


class Planned(Protocol):
    """An experiment as far as keys go (`japagen.experiments.experiment.Experiment`)."""

    @property
    def keys(self) -> dict[str, str]:
        """Stage -> key."""

    @property
    def identities(self) -> dict[str, dict[str, Any]]:
        """Stage -> what its key is made of."""


@dataclass(frozen=True)
class Identity:
    """One artifact's identity."""

    stage: str
    key: str
    content: Mapping[str, Any] = field(repr=False)
    created: str = ""

    @cached_property
    def parts(self) -> tuple[dict[str, str], dict[str, str]]:
        """Leaf -> JSON, and input stage -> key."""
        leaves: dict[str, str] = {}
        inputs: dict[str, str] = {}
        named = _INPUTS.get(self.stage, {})
        for name, value in _leaves(self.content):
            if name in named and isinstance(value, str):
                inputs[named[name]] = value
            elif self.stage == "model" and name == "rows" and (found := _ROWS.fullmatch(str(value))):
                inputs |= {"dataset": found["dataset"]} if found["dataset"] else {}
                leaves |= {"gold rows": f'"{found["gold"]}"'} if found["gold"] else {}
                leaves |= {"method.gold_weight": found["weight"]} if found["weight"] else {}
            else:
                leaves[name] = canonical_json(value)
        return leaves, {stage: key for stage, key in inputs.items() if key}

    @property
    def version(self) -> int | None:
        """The stage's version that the key was made under; None where it isn't the identity's key under any."""
        versions = range(STAGES[self.stage].version, 0, -1)
        return next((version for version in versions if stage_key(self.stage, dict(self.content), version) == self.key), None)


@dataclass(frozen=True)
class Difference:
    """One leaf that differs; values as JSON has them."""

    stage: str
    leaf: str
    old: Any
    new: Any

    def describe(self) -> str:
        """'train.epochs 4 -> 6'; of long values only that they differ."""
        if self.leaf == "exemplars":
            old, new = (sum(map(len, side.values())) if isinstance(side, dict) else 0 for side in (self.old, self.new))
            return f"exemplars differ ({new} on both sides)" if old == new else f"exemplars {old} -> {new}"
        name, shown = setting_name(self.stage, self.leaf), [_shown(side) for side in (self.old, self.new)]
        if None not in shown and shown[0] != shown[1] and not self.leaf.startswith(_TEXTS):
            return f"{name} {shown[0]} -> {shown[1]}"
        if self.old is None or self.new is None:
            return f"{name}: {'added' if self.old is None else 'gone'}"
        return f"{name} {'differ' if name in _PLURALS else 'differs'}"


@dataclass(frozen=True)
class Nearest:
    """The stored artifact nearest to a wanted one."""

    stored: Identity
    differences: tuple[Difference, ...]
    """In the identities themselves, also of the stage's version."""
    distance: int
    """Differing leaves, those of inputs that differ included."""
    inputs: tuple[tuple[str, str, str], ...]
    """(stage, key in the stored artifact, key wanted) of each input that differs; '' where a side has none."""


def identities_of(experiment: Planned) -> dict[str, Identity]:
    """The experiment's stages, as the store would have them."""
    return {
        stage: Identity(stage, experiment.keys[stage], json.loads(canonical_json(identity)))
        for stage, identity in experiment.identities.items()
    }


def setting_name(stage: str, leaf: str) -> str:
    """A leaf in words: the setting's dotted name where it is one."""
    if (stage, leaf) in _OF_STAGE:
        return _OF_STAGE[stage, leaf]
    if leaf.endswith(_ORDER):
        return "labels" if "label" in leaf else setting_name(stage, leaf.removesuffix(_ORDER))
    if leaf.startswith("prompt.labels."):
        return f"instruction of label {leaf.removeprefix('prompt.labels.')}"
    if leaf.startswith(("labels.", "label words.")):
        return f"label {leaf.partition('.')[2]}"
    beginning, rest = leaf, ""
    while beginning not in _NAMES and "." in beginning:
        beginning, _, last = beginning.rpartition(".")
        rest = f".{last}{rest}"
    return _NAMES[beginning] + rest if beginning in _NAMES else leaf


def _shown(value: Any) -> str | None:
    """A value in a line; None where it is too long, or a text."""
    if value == "" or value is None:
        return "''" if value == "" else NONE
    text = _DIGITS.sub(lambda found: found[0][:12], value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return None if len(text) > _LONG or "\n" in text else text


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of all that can differ by itself. Lists of named entries are taken apart, their order is one more leaf."""
    if isinstance(value, dict) and path != "exemplars":
        for name, entry in value.items():
            yield from _leaves(entry, f"{path}.{name}" if path else name)
    elif path in _POSITIONS:
        entries = value if isinstance(value, list) else [value]
        for name, entry in zip(_POSITIONS[path], [*entries, *[None] * len(_POSITIONS[path])], strict=False):
            yield from [(name, entry)] if name in _POSITIONS else _leaves(entry, name)
    elif (named := _named(value)) is not None:
        yield path + _ORDER, list(named)
        for name, entry in named.items():
            yield from _leaves(entry, f"{path}.{name}")
    else:
        yield path, value


def _named(value: Any) -> dict[str, Any] | None:
    """Name -> the rest of each entry, where a list's entries are lists or mappings with names of their own."""
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in value):
        found = {entry["name"]: {name: part for name, part in entry.items() if name != "name"} for entry in value}
    elif all(isinstance(entry, list) and len(entry) > 1 and isinstance(entry[0], str) for entry in value):
        found = {entry[0]: entry[1] if len(entry) == 2 else entry[1:] for entry in value}
    else:
        return None
    return found if len(found) == len(value) else None


class StoredIdentities:
    """The identities in a store; the meta.json files of a stage's folder are read once, when the stage is first asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[str, dict[str, dict[str, Identity]]] = {}
        self._distances: dict[tuple[str, str], dict[str, int]] = {}

    def of(self, stage: str) -> dict[str, Identity]:
        """Key -> identity of each stored artifact of the stage. A broken meta.json is passed over; `japagen gc` names it."""
        folder = STAGES[stage].folder
        if folder not in self._read:
            found: dict[str, dict[str, Identity]] = {}
            for path in (self._store.root / folder).glob("*/meta.json"):
                try:
                    meta = read_json(path)
                    identity = Identity(meta["stage"], meta["key"], meta["identity"], meta.get("created", ""))
                except (StoreError, KeyError, TypeError):
                    continue
                found.setdefault(identity.stage, {})[identity.key] = identity
            self._read[folder] = found
        return self._read[folder].get(stage, {})

    def nearest(self, wanted: Mapping[str, Identity], stage: str) -> Nearest | None:
        """The artifact nearest to the wanted one of a stage, itself left out; None where the store has no other of the stage.

        wanted: all stages of the experiment.
        """
        own = wanted[stage]
        distances = {key: distance for key, distance in self._distances_to(wanted, stage).items() if key != own.key}
        if not distances:
            return None
        stored = self.of(stage)
        newest_first = sorted(distances, key=lambda key: stored[key].created, reverse=True)
        key = min(newest_first, key=lambda key: distances[key])
        return compare(stored[key], own, distances[key])

    def _distances_to(self, wanted: Mapping[str, Identity], stage: str) -> dict[str, int]:
        """Key -> number of differing leaves, those of inputs that differ included."""
        own = wanted[stage]
        if (known := self._distances.get((stage, own.key))) is not None:
            return known
        leaves, inputs = own.parts
        to_inputs = {name: self._distances_to(wanted, name) for name in inputs if name in wanted}
        found = {}
        for key, other in self.of(stage).items():
            others, their_inputs = other.parts
            distance = len({name for name, _ in leaves.items() ^ others.items()})
            for name in inputs.keys() | their_inputs.keys():
                if inputs.get(name) != their_inputs.get(name):
                    distance += max(1, to_inputs.get(name, {}).get(their_inputs.get(name, ""), 1))
            found[key] = distance
        self._distances[stage, own.key] = found
        return found


def compare(stored: Identity, wanted: Identity, distance: int = 0) -> Nearest:
    """What differs between two artifacts of a stage; `distance`: as known."""
    (old, old_inputs), (new, new_inputs) = stored.parts, wanted.parts
    names = [name for name in dict.fromkeys([*new, *old]) if old.get(name) != new.get(name)]
    lists = tuple(name.removesuffix(_ORDER) + "." for name in names if name.endswith(_ORDER))
    names = [name for name in names if not name.startswith(lists) or (name in old and name in new)]  # the list names what came and went
    found = [Difference(wanted.stage, name, *(_value(side.get(name)) for side in (old, new))) for name in names]
    inputs = [
        (stage, old_inputs.get(stage, ""), new_inputs.get(stage, ""))
        for stage in dict.fromkeys([*new_inputs, *old_inputs])
        if old_inputs.get(stage) != new_inputs.get(stage)
    ]
    versions = stored.version, wanted.version or STAGES[wanted.stage].version
    if versions[0] != versions[1]:
        found.append(Difference(wanted.stage, f"version of the stage {STAGES[wanted.stage].words}", *versions))
    return Nearest(stored, tuple(found), distance, tuple(inputs))


def describe_nearest(found: Nearest, stored: StoredIdentities, wanted: Mapping[str, Identity], shown: set[str]) -> list[str]:
    """What differs, a line each; below an input that differs what differs there, unless `shown`, to which its key is added, has it."""
    lines = [difference.describe() for difference in found.differences]
    lines = lines[:MOST_DIFFERENCES] + ([f"and {len(lines) - MOST_DIFFERENCES} more"] if len(lines) > MOST_DIFFERENCES else [])
    for stage, old, new in found.inputs:
        words = STAGES[stage].words
        if not old or not new:
            lines.append(f"{words} {old[:8] or NONE} -> {new[:8] or NONE}")
        elif old in shown:
            lines.append(f"another {words}, {old[:8]}: see above")
        elif old not in stored.of(stage) or stage not in wanted:
            lines.append(f"another {words}, {old[:8]} in place of {new[:8]}, of which the store has no more to compare")
        else:
            shown.add(old)
            below = describe_nearest(compare(stored.of(stage)[old], wanted[stage]), stored, wanted, shown)
            lines += [f"another {words}, {old[:8]}:", *(f"  {line}" for line in below)]
    return lines or ["nothing that the identities show"]


def plan_reasons(experiments: Sequence[Planned], store: Store) -> list[str]:
    """'model: train.epochs 4 -> 6 (2 of them)': why stages would be made anew beside a stored artifact that differs little.

    A stage whose inputs alone differ isn't named, since their stage is. Of each stage MOST_COMPARED artifacts at most are compared.
    """
    stored, found = StoredIdentities(store), Counter[str]()
    made: dict[str, set[str]] = {}
    for experiment in experiments:
        if store.find("result", experiment.keys["result"]) is not None:
            continue
        has_dataset = "dataset" in experiment.keys and store.find("dataset", experiment.keys["dataset"]) is not None
        wanted: dict[str, Identity] = {}
        for stage, key in experiment.keys.items():
            keys = made.setdefault(stage, set())
            if key in keys or (has_dataset and STAGES[stage].by_llm) or store.find(stage, key):
                continue
            keys.add(key)
            if len(keys) > MOST_COMPARED:
                continue
            wanted = wanted or identities_of(experiment)
            nearest = stored.nearest(wanted, stage)
            if nearest is not None and nearest.differences and nearest.distance <= NEAR:
                found[f"{STAGES[stage].words}: {', '.join(difference.describe() for difference in nearest.differences)}"] += 1
    lines = [line + (f" ({num} of them)" if num > 1 else "") for line, num in found.items()]
    lines = lines[:MOST_REASONS] + ([f"and {len(lines) - MOST_REASONS} more reasons"] if len(lines) > MOST_REASONS else [])
    many = [f"{STAGES[stage].words} {len(keys):,}" for stage, keys in made.items() if len(keys) > MOST_COMPARED]
    return lines + (
        [f"compared were the first {MOST_COMPARED} of each stage, and there are more: {', '.join(many)}"] if lines and many else []
    )


def _value(leaf: str | None) -> Any:
    return None if leaf is None else json.loads(leaf)
