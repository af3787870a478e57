"""The revision of an LLM behind a running server: what the server states of it, or the one under which the store already has its rows.

Only the client process resolves it, once, when it plans; workers find it in the plan. A server's word is no fixed point as a commit is, so
rows that exist decide where they can: a stream that is paid for is never made again because a server is away, or because it was
written before servers were asked.
"""

from collections.abc import Callable, Mapping, Sequence

from japagen.config.llm import LLM
from japagen.llm.served import PREFIX
from japagen.store.files import read_json
from japagen.store.stages import LLM_STAGES, STAGES
from japagen.store.store import Store

SERVED = "as served"
"""Revision of an LLM behind `llm.base_url` of which nothing but its name is known."""

KeysOf = Callable[[str], Mapping[str, str]]
"""Revision -> {stage: key} of an experiment."""


def choose_revision(store: Store, llm: LLM, stated: str | None, fault: str, stages: Sequence[str], keys_of: KeysOf) -> tuple[str, str]:
    """(revision, a note for people or ''). `stated`: by the server; None: nothing. `fault`: why it gave no answer; '' where it did.

    Where the server answers: its word, unless the store has rows of these stages as served and none under its word. Where it doesn't: the
    latest of its words under which the store has rows, else as served.
    """
    where = f"llm={llm.name} at {llm.base_url}"

    def has(revision: str) -> bool:
        return _has_rows(store, stages, keys_of(revision))

    if fault:
        found = next((revision for revision in _stored(store, llm.id) if has(revision)), SERVED)
        known = (
            "the rows in the store are used" if has(found) else f"new replies are recorded {found!r}, without what the server would tell"
        )
        return found, f"note: {where} gives no answer now ({fault}); {known} (llm.revision={found!r})"
    revision = stated or SERVED
    if has(revision):
        return revision, ""
    older = next((one for one in [SERVED, *_stored(store, llm.id)] if one != revision and has(one)), None)
    if older is None:
        return revision, ""
    if older == SERVED:
        return SERVED, (
            f"note: {where}: the store's rows of {llm.id} were made before servers were asked what they serve, and are used; if this server"
            f" has another model, set llm.revision={revision!r}"
        )
    return revision, (
        f"note: {where} now states {revision!r}, and the store has rows of {llm.id} under {older!r}: new rows are made; to"
        f" use the stored ones, set llm.revision={older!r}"
    )


def _has_rows(store: Store, stages: Sequence[str], keys: Mapping[str, str]) -> bool:
    """Whether the store has a row of one of the stages, or the result that came of them."""
    if "result" in keys and store.find("result", keys["result"]):
        return True
    paths = [path for stage in stages if stage in keys for path in store.path(stage, keys[stage]).glob("rows-*.jsonl")]
    return any(path.stat().st_size for path in paths)


def _stored(store: Store, llm_id: str) -> list[str]:
    """Revisions that servers stated for an LLM of this name when the store's rows were made; the latest first."""
    times: dict[str, float] = {}
    for folder in {STAGES[stage].folder for stage in LLM_STAGES}:
        for path in (store.root / folder).glob("*/meta.json"):
            content = read_json(path)
            llm = content.get("identity", {}).get("llm", {}) if isinstance(content, dict) else {}
            revision = str(llm.get("revision"))
            if llm.get("id") == llm_id and revision.startswith(PREFIX):
                times[revision] = max(times.get(revision, 0.0), path.stat().st_mtime)
    return sorted(times, key=lambda revision: -times[revision])
