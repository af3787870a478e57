"""What a server may answer, case by case: a stream filled through the fault, and what came of it.

The client, the generator and the stream's files are the program's own; the server is a process (`tests.faults.server`).
"""

import asyncio
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from japagen.config.composition import compose_config
from japagen.errors import JapagenError
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import plan_experiment
from japagen.experiments.requests import make_selector
from japagen.experiments.stages import fill
from japagen.llm.client import Client
from japagen.llm.endpoint import Endpoint
from japagen.store.rowsfile import StreamRows
from japagen.store.store import Store
from tests.faults.program import read_kept
from tests.faults.server import MODEL, Running

NUM_PER_LABEL, LIMIT = 60, 8


@dataclass(frozen=True)
class Case:
    """A way of failing."""

    name: str
    plan: dict[str, Any]
    """A `tests.faults.server.Plan`."""
    same: bool = True
    """Whether the same texts are chosen as without the fault; else as many, since some of the rows can't be had."""
    message: str = ""
    """Where the run can't go on: what its error says."""
    num_per_label: int = NUM_PER_LABEL
    limit: int = LIMIT
    """Open requests."""


CASES = [
    Case("20% answer 500", {"fault": "500", "share": 0.2}),
    Case("20% answer 429 with Retry-After", {"fault": "429", "share": 0.2, "retry_after_s": 0.2}),
    Case("20% answer 429 without Retry-After", {"fault": "429", "share": 0.2}),
    Case("20% of connections are reset", {"fault": "reset", "share": 0.2}),
    Case("20% send half a body", {"fault": "half", "share": 0.2}),
    Case("20% send invalid JSON", {"fault": "json", "share": 0.2}),
    Case("20% send too few choices", {"fault": "choices", "share": 0.2}),
    Case("20% send empty texts", {"fault": "empty", "share": 0.2}, same=False),
    Case("outage", {"outage_at": 10, "outage_s": 2.0}),
    Case("slow: 0.5 s a request", {"latency_s": 0.5}),
    Case("5% of rows are refused for good (400)", {"fault": "400", "share": 0.05, "stubborn": True}, same=False),
    Case("5% of rows always send invalid JSON", {"fault": "json", "share": 0.05, "stubborn": True}, same=False),
    Case("every row is refused (400)", {"fault": "400", "share": 1.0}, message=r"\d+ rows one after the other, all alike: status 400"),
    Case("every answer is empty", {"fault": "empty", "share": 1.0}, message=r"all of the first \d\d replies were rejected as 'empty'"),
]
LARGE = [
    Case("20 s outage after 300 answers, 64 open", {"outage_at": 300, "outage_s": 20.0, "latency_s": 0.05}, num_per_label=500, limit=64),
    Case(
        "1% of rows are refused for good (400), 64 open", {"fault": "400", "share": 0.01, "stubborn": True, "latency_s": 0.05}, same=False,
        num_per_label=500, limit=64,
    ),
]  # fmt: skip
"""The peers' faults at their size, which take too long for a test."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    rows: int
    """Requests' rows that the server sent whole and unspoilt."""
    rows_lost: int
    """Of these, those that are in no file."""
    rows_twice: int
    requests: int
    repeated: int
    """Requests sent again although the row had come whole and unspoilt."""
    failed_rows: int
    """Rows that stand as failed for good, with the server's words."""
    is_full: bool
    is_same: bool
    """Whether the chosen texts are those of an undisturbed run."""
    message: str
    counts: dict[str, int] = field(default_factory=dict)
    """What became of the requests."""


def experiment_of(base_url: str, store: Path, task: str = "jcola", num_per_label: int = NUM_PER_LABEL) -> Experiment:
    """The experiment whose stream is filled."""
    settings = [f"task={task}", f"llm.base_url={base_url}", f"llm.id={MODEL}", f"num_per_label={num_per_label}", f"store={store}"]
    return plan_experiment(compose_config([*settings, "synthesis.texts_per_request=2", "logger=none"]))


def fill_stream(
    server: Running, store: Path, plan: dict[str, Any], task: str = "jcola", num_per_label: int = NUM_PER_LABEL, limit: int = LIMIT
) -> str:
    """Fills the stream while the server behaves as planned; '' or the error's text."""
    server.plan(**plan)
    experiment = experiment_of(server.base_url, store, task, num_per_label)

    async def run() -> None:
        async with Client(Endpoint(server.base_url, is_vllm=False, patience_s=60.0), MODEL, limit) as client:
            await fill(experiment, "stream", Store(store), client, lambda progress: None)

    try:
        asyncio.run(run())
    except JapagenError as error:
        return str(error)
    return ""


def chosen(server: Running, store: Path, task: str = "jcola", num_per_label: int = NUM_PER_LABEL) -> list[tuple[str, tuple[str, ...]]]:
    """The texts that the stored rows give."""
    experiment = experiment_of(server.base_url, store, task, num_per_label)
    selector = make_selector(experiment)
    selector.advance(StreamRows(Store(store).path("stream", experiment.keys["stream"])))
    return [(one.label, one.texts) for one in selector.accepted]


def try_case(case: Case, server: Running, folder: Path, task: str = "jcola") -> Outcome:
    """Fills one store through the fault, and one undisturbed where that isn't there yet."""
    num = case.num_per_label
    undisturbed, store = folder / f"undisturbed-{task}-{num}", folder / "faulty"
    if not undisturbed.exists():
        assert fill_stream(server, undisturbed, {}, task, num, case.limit) == ""
    shutil.rmtree(store, ignore_errors=True)
    message = fill_stream(server, store, case.plan, task, num, case.limit)
    requests, kept = server.requests(), read_kept(store)
    texts, wanted = chosen(server, store, task, num), chosen(server, undisturbed, task, num)
    good = Counter((seed, n) for seed, n, end in requests if end == "ok")
    sent = {seed + j for seed, n in good for j in range(n)}
    return Outcome(
        len(sent), len(sent - kept.seeds), kept.num_twice, len(requests), sum(good.values()) - len(good),
        sum(row["finish_reason"] == "error" and bool(row["error"]) for row in kept.rows.values()),
        len(texts) == len(wanted), texts == wanted, message, dict(Counter(end for _, _, end in requests)),
    )  # fmt: skip
