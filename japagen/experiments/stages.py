"""How the stages that an LLM makes are made: streams filled, questions answered. The store is asked first, always.

`llm_stages` of an experiment are what an LLM must do for it, in order; `is_complete` tells whether one is done, `fill` does it. What
the student learns from, `japagen.experiments.training_rows` gives.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from japagen.errors import MissingTextsError
from japagen.experiments.experiment import Experiment
from japagen.experiments.llm_work import asking, llm_work
from japagen.experiments.requests import auto_attributes, make_selector, stream_of, write_attributes
from japagen.llm.client import Client
from japagen.store.files import explain_os_errors
from japagen.store.rowsfile import StreamRows, open_folder
from japagen.store.store import Store
from japagen.synthesis.answers import Answer, answer_all
from japagen.synthesis.claims import Claims
from japagen.synthesis.generate import FirstReplies, Generator, StreamProgress
from japagen.synthesis.limits import Meter
from japagen.synthesis.stream import open_rows

SESSIONS = "sessions.jsonl"
"""In a stream's or answers' folder: one line for each run over it, with its seconds, rows and tokens."""

Show = Callable[[StreamProgress], None]
Shard = tuple[int, int]
"""(number, of how many): which part of the questions a worker asks."""
ALONE: Shard = (0, 1)


def is_complete(experiment: Experiment, stage: str, store: Store) -> bool:
    """Whether the stored rows of one of `llm_stages` are enough, so that no LLM is needed for it."""
    if "dataset" in experiment.keys and store.find("dataset", experiment.keys["dataset"]):
        return True
    if not store.find(stage, experiment.keys[stage]):
        return False
    try:
        return llm_work(experiment, stage).is_complete(store)
    except MissingTextsError:
        return False


async def fill(
    experiment: Experiment, stage: str, store: Store, client: Client, show: Show, shard: Shard = ALONE, first: int | None = None
) -> None:
    """Asks the LLM for what the stage misses, and records the session; `first`: only for so many replies a label, or answers."""
    if stage == "stream":
        await _fill_stream(experiment, store, client, show, first)
    elif stage == "attributes":
        with store.lock(stage, experiment.keys[stage]):  # every shard must draw from the same ones
            await _fill_answers(experiment, stage, store, client, show, ALONE, first)
        path = store.path(stage, experiment.keys[stage]) / "attributes.yaml"
        write_attributes(auto_attributes(experiment, store), path)
    else:
        await _fill_answers(experiment, stage, store, client, show, shard, first)


async def _fill_stream(experiment: Experiment, store: Store, client: Client, show: Show, first: int | None) -> None:
    """Together with whoever else fills the stream now."""
    config, stream = experiment.config, stream_of(experiment, store)
    num, factor = first or config.num_per_label, config.synthesis.max_rows_factor
    with Claims(store, stream) as claims:
        is_settled = False
        while not is_settled:
            rows, selector = open_rows(store, stream), make_selector(experiment)
            selection = FirstReplies(selector, first) if first else selector
            generator = Generator(stream, rows, selection, config.llm.sampling, num, factor, show, claims, Meter(config.llm, rows))
            try:
                await generator.run(client)
            finally:
                _record(store, rows, generator.progress())
            is_settled = not rows.is_disputed  # else, judged as a reader of the files judges, something may be missing


async def _fill_answers(
    experiment: Experiment, stage: str, store: Store, client: Client, show: Show, shard: Shard, first: int | None
) -> None:
    (number, of), work = shard, asking(experiment, stage)
    questions = work.questions(store)[:first][number::of]
    rows = StreamRows(open_folder(store, stage, experiment.keys[stage], experiment.identities[stage]), Answer)
    latest: list[StreamProgress] = []
    llm = experiment.llm_of(stage)
    meter = Meter(llm, rows, "llm" if llm is experiment.config.llm else "judge")

    def note(progress: StreamProgress) -> None:
        latest[:] = [progress]
        show(progress)

    try:
        await answer_all(questions, rows, client, llm.chat_template_args, work.max_tokens, note, llm.stop_strings, meter)
    finally:
        for progress in latest:
            _record(store, rows, progress)


def _record(store: Store, rows: StreamRows, progress: StreamProgress) -> None:
    with store.lock("sessions", rows.folder.name):  # appending from two hosts isn't atomic on a shared file system
        note_session(rows.folder, progress)


def note_session(folder: Path, progress: StreamProgress) -> None:
    """Appends what one run over the stream made; costs are summed from these lines."""
    line = {"seconds": round(progress.seconds, 3), "rows": progress.new_rows, "completion_tokens": progress.new_tokens}
    line |= {"prompt_tokens": progress.new_prompt_tokens}
    with explain_os_errors(folder), (folder / SESSIONS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def llm_seconds(experiment: Experiment, store: Store) -> float:
    """Seconds that the LLM spent on the experiment's stages in all runs, server starts left out; runs that were killed are not in it."""
    return sum(generation_seconds(store.path(stage, experiment.keys[stage])) for stage in experiment.llm_stages)


def generation_seconds(folder: Path) -> float:
    """Seconds that all runs over one stage's folder took."""
    return sum(session["seconds"] for session in sessions(folder))


def sessions(folder: Path) -> list[dict[str, float]]:
    """What the runs over a stage's folder made; a line that a full disk or a power cut tore counts for nothing."""
    path = folder / SESSIONS
    found: list[dict[str, float]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        with suppress(ValueError):
            found.append(json.loads(line))
    return found
