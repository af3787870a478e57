"""What may befall a real vLLM server and its client, case by case: struck in mid-run, then the same command until it ends well.

vLLM runs on the CPU with the demo LLM. All is judged from outside: by the list of requests in vLLM's own log, the store's rows, the
exit codes, what was printed, and the processes that were ever seen below a run.
"""

import random
import re
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from japagen.llm.command import is_free
from tests.faults.kills import LIMIT
from tests.faults.program import Ended, Forker, Kept, Run, read_kept
from tests.stubs.waiting import eventually

NUM_PER_LABEL = 150
FEWEST, MOST = 20, 200
"""Rows that stand in the store when a fault strikes; the seed decides."""
CLIENT, KEEPER, API, ENGINE, WORKER = "client", "keeper", "API server", "EngineCore", "worker"
STOP = "SIGSTOP"
LOOK_S = 3.0
"""japagen.llm.server.LOOK_EVERY_S, so that a server that hangs is given up after half a minute and not after ten."""
END_S = 30.0
"""For the keeper to end vLLM once its client is gone."""
ASKED = re.compile(r"Received request \S+ params: SamplingParams\(n=(\d+), .*?seed=(\d+)")


@dataclass(frozen=True)
class Case:
    """A way of failing."""

    who: str
    """CLIENT, KEEPER, API, ENGINE, WORKER."""
    how: str
    """A signal's name."""
    name: str = ""
    """What stands in the table; empty: who and how."""
    wakes_s: float = 0.0
    """After STOP: goes on after so many seconds; 0: never."""
    at_start: bool = False
    """Struck while vLLM loads, not in generation."""
    as_soon_as: str = ""
    """Struck once vLLM's log says so, not in generation."""
    restarts: int = 2
    """llm.server.max_restarts."""
    message: str = ""
    """Where the struck run can't go on: what it must say."""

    @property
    def title(self) -> str:
        """For the table."""
        return self.name or f"{self.how} of the {self.who}"


STOPPED = "stopped; what was made is in the store"
CASES = [
    Case(API, "SIGKILL"),
    Case(ENGINE, "SIGKILL"),
    Case(WORKER, "SIGKILL"),
    Case(KEEPER, "SIGKILL"),
    Case(ENGINE, STOP, "the EngineCore hangs (SIGSTOP)"),
    Case(API, STOP, "the API server hangs (SIGSTOP)"),
    Case(ENGINE, STOP, "the EngineCore stands still for 12 s", wakes_s=12.0),
    Case(CLIENT, "SIGKILL"),
    Case(CLIENT, "SIGTERM", message=STOPPED),
    Case(CLIENT, "SIGINT", message=STOPPED),
    Case(CLIENT, "SIGKILL", "SIGKILL of the client while vLLM loads", at_start=True),
    Case(ENGINE, "SIGKILL", "SIGKILL of the EngineCore, no restart left", restarts=0, message="is lost after 0 restarts"),
    Case(API, "SIGKILL", "SIGKILL of the API server while it loads", at_start=True, message="before it was ready"),
    Case(ENGINE, STOP, "the EngineCore hangs (SIGSTOP), no restart left", restarts=0, message="it hangs: no token was written"),
    Case(ENGINE, STOP, "the EngineCore hangs (SIGSTOP) before its first request", as_soon_as="Application startup complete"),
]


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    case: int
    seed: int
    name: str
    rows: int
    """That stood in the store when the fault struck."""
    code: int
    """Of the struck run, or minus a signal's number."""
    message: str
    """What the struck run said in the end, unless it ended well."""
    expected: str
    servers: int
    """How often vLLM was started, in all runs of the command."""
    rows_lost: int
    """Rows that stood there when the struck run had ended, and don't at the end."""
    rows_twice: int
    repeated: int
    """Requests that vLLM was sent more than once."""
    repeated_stored: int
    """Requests of the next run whose rows stood in the store."""
    processes_left: int
    ports_left: int
    after: str
    """The next run's message; '' where it ended well."""
    is_made_again: bool
    """Whether one run more asks vLLM for anything, or adds rows."""
    printed: str
    """All that was printed, where that holds a traceback."""

    @property
    def is_well(self) -> bool:
        """Whether nothing was lost, made twice or left, and the user was told."""
        is_clean = not (self.rows_lost or self.rows_twice or self.repeated_stored or self.processes_left or self.ports_left)
        is_told = bool(re.search(self.expected, self.message)) if self.expected else not self.message
        return is_clean and is_told and self.repeated <= LIMIT and not (self.after or self.is_made_again or self.printed)


@dataclass
class Observed:
    """A run, and every process that was seen below it."""

    run: Run
    seen: set[psutil.Process]

    def look(self) -> list[psutil.Process]:
        """The processes below it now."""
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.run.pid).children(recursive=True)
            self.seen |= set(found)
            return found
        return []

    def find(self, who: str) -> psutil.Process | None:
        """The process to strike, once it is there."""
        if who == CLIENT:
            return psutil.Process(self.run.pid)
        found = self.look()
        keepers = [one for one in found if _says(one, "keeper.py")]
        if who == KEEPER or not keepers:
            return keepers[0] if keepers else None
        if who == API:
            return next(iter(keepers[0].children()), None)
        return next((one for one in found if _says(one, "EngineCore" if who == ENGINE else "Worker")), None)

    def end(self) -> tuple[Ended, int]:
        """How it ended, and how many of its processes are left END_S later at most."""
        while not self.run.is_over:
            self.look()
            time.sleep(0.3)  # between looks: all that ever runs below it must be seen
        ended = self.run.wait()
        eventually(lambda: not any(map(_lives, self.seen)), END_S, every_s=0.2)
        left = [one for one in self.seen if _lives(one)]
        for one in left:
            one.kill()
        return ended, len(left)


def try_case(number: int, forker: Forker, folder: Path, seed: int) -> Outcome:
    """Case `number` of CASES, struck at the moment that the seed decides; its store is left where anything is amiss."""
    case, draw, store = CASES[number], random.Random(f"{number}/{seed}"), folder / "vllm"
    shutil.rmtree(store, ignore_errors=True)
    arguments = _arguments(store, folder, case)
    run = Observed(forker.start(arguments, store, folder / "log", look_s=LOOK_S), set())
    rows = _strike(case, run, store, draw)
    first, num_left = run.end()
    kept, asked = read_kept(store), _asked(store)
    after = ""
    if first.code:
        second, num = Observed(forker.start(arguments, store, folder / "log", look_s=LOOK_S), set()).end()
        after, num_left = "" if second.code == 0 else second.message, num_left + num
    now, all_asked = read_kept(store), _asked(store)
    third, num = Observed(forker.start(arguments, store, folder / "log", look_s=LOOK_S), set()).end()
    times = Counter(seed for seed, _ in all_asked)
    outcome = Outcome(
        number, seed, case.title, rows, first.code, "" if first.code in (0, -signal.SIGKILL) else first.message,
        case.message, len(_starts(store)),
        sum(now.rows.get(place) != row for place, row in kept.rows.items()), now.num_twice,
        sum(num - 1 for num in times.values()),
        sum(_has(kept, *one) for one in all_asked[len(asked):]),
        num_left + num, sum(not is_free(port) for port in _starts(store)),
        after, third.code != 0 or len(_asked(store)) != len(all_asked) or read_kept(store) != now,
        "\n".join(one.printed for one in (first, third) if one.message.startswith("Traceback")),
    )  # fmt: skip
    if outcome.is_well:
        shutil.rmtree(store)
    return outcome


def _arguments(store: Path, folder: Path, case: Case) -> tuple[str, ...]:
    """Of run.py. vLLM then says in its log which requests it gets."""
    extra = ["--block-size", "32", "--enable-log-requests", *(["--tensor-parallel-size", "2"] if case.who == WORKER else [])]
    return (
        "task=jcola", f"num_per_label={NUM_PER_LABEL}", f"synthesis.concurrency={LIMIT}", "synthesis.texts_per_request=2", "device=cpu",
        f"llm.server.extra_args={[*extra]}".replace(" ", ""), f"llm.server.max_restarts={case.restarts}", "train.epochs=1", "logger=none",
        "train.min_steps=20", f"store={store}", f"hydra.run.dir={folder}/hydra",
    )  # fmt: skip


def _strike(case: Case, run: Observed, store: Path, draw: random.Random) -> int:
    """Waits for the moment and strikes; the rows that stood there then."""
    num, delay_s = draw.randint(FEWEST, MOST), draw.uniform(0.0, 6.0)
    while not run.run.is_over and not _has_come(case, run, store, num):
        run.look()
        time.sleep(0.01 if case.as_soon_as else 0.05)  # between looks, as above
    if case.at_start:
        time.sleep(delay_s)  # the random moment: nothing outside tells how far vLLM has loaded
    if (struck := run.find(case.who)) is None:
        raise LookupError(f"there is no {case.who} to strike: {run.run.printed[-2000:]}")
    rows = len(read_kept(store).rows)
    struck.send_signal(getattr(signal, case.how))
    if case.wakes_s:
        time.sleep(case.wakes_s)  # the fault itself: so long it stands still
        struck.send_signal(signal.SIGCONT)
    return rows


def _has_come(case: Case, run: Observed, store: Path, num: int) -> bool:
    """Whether the case's moment is there."""
    if case.as_soon_as:
        return any(case.as_soon_as in text for text in _logs(store))
    return run.find(ENGINE) is not None if case.at_start else len(read_kept(store).rows) >= num


def _logs(store: Path) -> list[str]:
    return [path.read_text(encoding="utf-8", errors="replace") for path in sorted(store.glob("logs/vllm-*.log"))]


def _asked(store: Path) -> list[tuple[int, int]]:
    """(seed, n) of the requests that vLLM was sent, by its logs."""
    return [(int(seed), int(n)) for text in _logs(store) for n, seed in ASKED.findall(text)]


def _starts(store: Path) -> list[int]:
    """The port of each start of vLLM."""
    return [int(port) for text in _logs(store) for port in re.findall(r"^\[japagen\].* --port (\d+) ", text, re.MULTILINE)]


def _has(kept: Kept, seed: int, n: int) -> bool:
    return kept.seeds.issuperset(range(seed, seed + n))


def _says(process: psutil.Process, word: str) -> bool:
    with suppress(psutil.Error):
        return word in process.name() or any(word in part for part in process.cmdline())
    return False


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
