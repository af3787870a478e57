"""Keys: the same for what is the same, however it is written, ordered or run; another for whatever makes another artifact."""

import json
import os
import subprocess
import sys
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from japagen.config.schema import Config
from japagen.store import keys
from japagen.tasks import Example
from tests.conftest import ROOT, Compose
from tests.properties.hostile import TASKS, texts
from tests.stubs.setting_keys import CHANGES, changed, stage_keys, with_change

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts)
identities = st.dictionaries(
    texts, st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6)
)
DEPEND = ("task.labels.variants", "curate.prior_values", "train.ensemble_threshold", "prompt.name")
"""Settings whose part in a key hangs on other settings; tests/experiments/test_identities.py has those."""
paths = st.sets(st.sampled_from(sorted(set(CHANGES) - set(DEPEND))), max_size=5)


def backwards(value: Any) -> Any:
    """The same value with its keys in another order, and lists as tuples."""
    if isinstance(value, dict):
        return {name: backwards(one) for name, one in reversed(value.items())}
    return tuple(map(backwards, value)) if isinstance(value, list) else value


def spelt(value: Any) -> Any:
    """Tells True from 1 and 1.0, and 0.0 from -0.0, as JSON does."""
    if isinstance(value, dict):
        return {name: spelt(one) for name, one in value.items()}
    return [spelt(one) for one in value] if isinstance(value, list) else (type(value).__name__, repr(value))


@given(identities)
def test_what_is_written_in_another_order_has_the_same_key(identity: dict[str, Any]) -> None:
    assert keys.stage_key("stream", identity) == keys.stage_key("stream", backwards(identity))
    assert keys.canonical_json(json.loads(keys.canonical_json(identity))) == keys.canonical_json(identity)


@given(identities, identities, st.sampled_from(["stream", "dataset", "model"]), st.sampled_from(["stream", "dataset", "model"]))
def test_what_differs_has_another_key(one: dict[str, Any], other: dict[str, Any], stage: str, second: str) -> None:
    is_same = stage == second and spelt(one) == spelt(other)
    assert (keys.stage_key(stage, one) == keys.stage_key(second, other)) == is_same


@given(st.sampled_from(TASKS), paths, st.randoms(use_true_random=False))
def test_several_changes_change_what_each_of_them_does(composed: Compose, task: str, changes: set[str], random: Any) -> None:
    config = composed(f"task={task}")
    assume(config.task.is_pair or not {"curate.max_same_first", "task.first_instruction"} & changes)
    assert changed(stage_keys(config), stage_keys(_changed(config, sorted(changes)))) == set().union(*(CHANGES[path] for path in changes))
    shuffled = sorted(changes)
    random.shuffle(shuffled)
    assert stage_keys(_changed(config, shuffled)) == stage_keys(_changed(config, sorted(changes)))


@given(paths, paths)
def test_two_configurations_share_a_key_only_where_nothing_of_it_differs(composed: Compose, one: set[str], other: set[str]) -> None:
    config = composed("task=jnli")
    assume("task.kind" not in one | other or not {"curate.max_same_first", "task.first_instruction"} & (one | other))
    first, second = (stage_keys(_changed(config, sorted(changes))) for changes in (one, other))
    for stage in first:
        count = [{path for path in changes if stage in CHANGES[path]} for changes in (one, other)]
        assert (first[stage] == second[stage]) == (count[0] == count[1])


def _changed(config: Config, changes: list[str]) -> Config:
    for path in changes:
        config = with_change(config, path)
    return config


rows = st.lists(st.tuples(texts, texts, texts, st.one_of(st.none(), st.floats(0, 5))), max_size=4)


@given(rows, rows)
def test_checksums_are_the_same_for_the_same_rows_only(one: list[Any], other: list[Any]) -> None:
    first, second = ([Example((row[0], row[1]), row[2], row[3], id=str(n)) for n, row in enumerate(drawn)] for drawn in (one, other))
    assert (keys.examples_checksum(first) == keys.examples_checksum(second)) == (
        spelt(list(map(list, one))) == spelt(list(map(list, other)))
    )
    assert (keys.texts_checksum([row.texts for row in first]) == keys.texts_checksum([row.texts for row in second])) == (
        [row.texts for row in first] == [row.texts for row in second]
    )


PROGRAM = """
import json, sys
from japagen.experiments import identities
from japagen.store import keys
from tests.properties.hostile import PIECES, SHIPPED
from japagen.tasks import Example
identity = {piece: [piece, {other: len(other) for other in PIECES if other < piece}] for piece in set(PIECES)}
found = [keys.stage_key("stream", identity), keys.examples_checksum([Example((piece,), "a") for piece in PIECES])]
print(json.dumps(found + [json.dumps(identities._prompt_identity(task, "kadg")) for task in SHIPPED.values()]))
"""


def test_keys_hang_on_no_processs_hash_seed() -> None:
    found = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len(json.loads(found[0])) == 2 + len(TASKS)
