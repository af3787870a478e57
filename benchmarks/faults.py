"""The fault suite's long form: hundreds of random kills, wrong answers and spoilt stores, counted, with the table of docs/reliability.md.

    python benchmarks/faults.py [--kills 200] [--first-seed 0] [--only kills answers store] [--add] [--seconds 3600]
    python benchmarks/faults.py --only vllm slurm --add [--cases 0 1]

It drives run.py as a process against a server of its own (tests/faults/), for `vllm` with a real vLLM on the CPU, for `slurm` on the
cluster of `make slurm-up`; these two are tried only where they are named. `--add` keeps what benchmarks/results/faults.json has of kills
with other seeds, of other cases of vllm and slurm, and of other parts. Ends with code 1 where anything was lost, made twice, asked for
again although it stood in the store, left running, came out otherwise, or was told by a traceback. The
table in docs/reliability.md is written anew from the JSON.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from measuring import RESULTS, ROOT, machine, write_result

sys.path.insert(0, str(ROOT))

from tests.faults import slurmfaults, vllmfaults
from tests.faults.answers import CASES, LARGE, try_case
from tests.faults.kills import LIMIT, NUM_PER_LABEL, STAGES, Kill, Killer, Loop
from tests.faults.program import forker
from tests.faults.server import running
from tests.faults.slurmsweep import labelled
from tests.faults.storefaults import Bench, all_cases

ALONE = ("kills", "answers", "store")
"""What needs nothing that isn't here."""
PARTS = (*ALONE, "vllm", "slurm")
TASKS = ("jcola", "jnli")
SHARE_FRESH = 0.15
DOC = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
HEADINGS = ("fault", "times", "rows lost", "rows twice", "requests repeated", "processes left", "what the user reads")


def main() -> None:
    """Tries what is asked for, writes the JSON and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=ALONE)
    parser.add_argument("--cases", type=int, nargs="+", help="of vllm or slurm, by number; left out: all")
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--seconds", type=float, default=3600.0, help="nothing is begun after so many")
    options = parser.parse_args()
    ends = time.monotonic() + options.seconds
    tried: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS if part in options.only}
    try:
        if "answers" in tried:
            tried["answers"] = list(_answers())
        for part, try_some in (("vllm", _vllm), ("slurm", _slurm)):
            if part in tried:
                try_some(options, tried[part], ends)
        for part, try_all in (("kills", _kills), ("store", _store)):
            if part in tried:
                with ThreadPoolExecutor(len(TASKS)) as workers:
                    works = [workers.submit(try_all, number, options, tried[part], ends) for number in range(len(TASKS))]
                for work in works:
                    work.result()
    finally:
        report = _merged(tried, options.add)
        write_result("faults", report)
        DOC.write_text(with_table(DOC.read_text(encoding="utf-8"), table(report)), encoding="utf-8")
    amiss = list(faults(report))
    for line in amiss:
        print(f"amiss: {line}")
    sys.exit(bool(amiss))


def _merged(tried: dict[str, list[dict[str, Any]]], adds: bool) -> dict[str, Any]:
    """What was tried now and, where it `adds`, what the JSON holds else. It is read last: other parts may be tried meanwhile."""
    path = RESULTS / "faults.json"
    before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if adds and path.is_file() else {}
    report = {part: tried.get(part) or before.get(part, []) for part in PARTS}
    for part, names in (("kills", ("seed", "task")), ("vllm", ("case",)), ("slurm", ("case",))):
        found = {tuple(trial[name] for name in names): trial for trial in [*before.get(part, []), *tried.get(part, [])]}
        report[part] = [found[key] for key in sorted(found)]
    return {"machine": machine("torch", "aiohttp", "pyarrow"), "num_per_label": NUM_PER_LABEL, "open_requests": LIMIT} | report


def _kills(number: int, options: argparse.Namespace, found: list[dict[str, Any]], ends: float) -> None:
    """Loops of a task, with seeds of its own."""
    task, seed = TASKS[number], options.first_seed + number
    with running() as server, forker() as forks, tempfile.TemporaryDirectory() as folder:
        killer, num = Killer(task, server, forks, Path(folder), SHARE_FRESH), 0
        while num < options.kills / len(TASKS) and time.monotonic() < ends:
            loop = killer.loop(seed)
            num, seed = num + len(loop.kills), seed + len(TASKS)
            print(f"{task}, seed {loop.seed}: {len(loop.kills)} kills; {num}", flush=True)
            found.append(_plain(loop, folder))


def _answers() -> Iterator[dict[str, Any]]:
    with running() as server, tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            for case in (*CASES, *LARGE):
                outcome = try_case(case, server, Path(folder), task)
                print(f"{task}: {case.name}: {outcome.counts}", flush=True)
                yield {"task": task, "same": case.same, "expected": case.message, **_plain(outcome, folder), "name": case.name}


def _store(number: int, options: argparse.Namespace, found: list[dict[str, Any]], ends: float) -> None:
    """Every second case."""
    with running() as server, forker() as forks, tempfile.TemporaryDirectory() as folder:
        for case, (group, attempt) in enumerate(all_cases(Bench(Killer("jcola", server, forks, Path(folder)), Path(folder)))):
            if case % len(TASKS) == number and time.monotonic() < ends:
                outcome = attempt()
                print(f"{group}: code {outcome.code} {outcome.message}", flush=True)
                found.append({"case": case, "group": group, **_plain(outcome, folder)})


def _vllm(options: argparse.Namespace, found: list[dict[str, Any]], ends: float) -> None:
    with forker() as forks, tempfile.TemporaryDirectory() as folder:
        for number in options.cases or range(len(vllmfaults.CASES)):
            if time.monotonic() < ends:
                outcome = vllmfaults.try_case(number, forks, Path(folder), options.first_seed)
                print(outcome, flush=True)
                found.append({**_plain(outcome, folder), "is_well": outcome.is_well})


def _slurm(options: argparse.Namespace, found: list[dict[str, Any]], ends: float) -> None:
    with running() as server, labelled() as slurm, tempfile.TemporaryDirectory() as folder:
        bench = slurmfaults.Bench(slurm, server, Path(folder))
        for number in options.cases or range(len(slurmfaults.CASES)):
            if time.monotonic() < ends:
                outcome = bench.try_case(number)
                print(outcome, flush=True)
                found.append({**_plain(outcome, folder), "is_well": outcome.is_well})


def _plain(outcome: Any, folder: str) -> dict[str, Any]:
    """The outcome as JSON, without the path of the folder in which it was tried."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(outcome), ensure_ascii=False).replace(folder, "…"))
    return plain


def faults(report: dict[str, Any]) -> Iterator[str]:
    """What must not be, in words."""
    for loop in report["kills"]:
        if not Loop(**loop | {"kills": tuple(Kill(**kill) for kill in loop["kills"])}).is_well:
            yield f"kills: {loop}"
    for trial in report["answers"]:
        if trial["rows_lost"] or trial["rows_twice"] or trial["repeated"] or bool(trial["message"]) != bool(trial["expected"]):
            yield f"answers: {trial}"
    for trial in report["store"]:
        wrong = trial["rows_lost"] or trial["rows_twice"] or trial["repeated"] or trial["processes_left"] or trial["is_silent"]
        if wrong or trial["after"] or trial["printed"] or not trial["is_same"]:
            yield f"store: {trial}"

    for part in ("vllm", "slurm"):
        yield from (f"{part}: {trial}" for trial in report[part] if not trial["is_well"])


def table(report: dict[str, Any]) -> str:
    """Markdown."""
    lines = [f"| {' | '.join(HEADINGS)} |", f"|{'---|' * len(HEADINGS)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in _rows(report))])


def _rows(report: dict[str, Any]) -> Iterator[Sequence[object]]:
    kills = [kill for loop in report["kills"] for kill in loop["kills"]]
    for name in ("SIGKILL", "SIGTERM", "SIGINT"):
        for stage in STAGES:
            some = [kill for kill in kills if kill["signal"] == name and kill["stage"] == stage]
            met = [loop for loop in report["kills"] if any(kill in some for kill in loop["kills"])]
            if some:
                had_ended = sum(kill["message"].startswith("result: ") for kill in some)
                num_reported = had_ended + sum(kill["message"].startswith("stopped; what was made is in the store") for kill in some)
                done = f"; {had_ended} of these had told their results" * bool(had_ended)
                words = f"“stopped; what was made is in the store …” ({num_reported} of {len(some)}{done})"
                words = "nothing: it is gone" if name == "SIGKILL" else words
                yield (
                    f"{name}, {stage}", len(some), _total(some, "rows_lost"), sum(loop["rows_twice"] for loop in met),
                    f"{_total(some, 'repeated')} (at most {max(kill['repeated'] for kill in some)} a kill)",
                    _total(some, "processes_left"), words,
                )  # fmt: skip
    for name in dict.fromkeys(trial["name"] for trial in report["answers"]):
        some = [trial for trial in report["answers"] if trial["name"] == name]
        rows = sum(sum(trial["counts"].values()) for trial in some)
        words = some[0]["message"][:120] or ("–" if not some[0]["failed_rows"] else "rows failed for good stand with the server's words")
        yield name, f"{rows} requests", _total(some, "rows_lost"), _total(some, "rows_twice"), _total(some, "repeated"), "0", words
    for name in dict.fromkeys(trial["group"] for trial in sorted(report["store"], key=lambda trial: trial["case"])):
        some = [trial for trial in report["store"] if trial["group"] == name]
        words = next((trial["message"] for trial in some if trial["message"]), "–")
        counts = [_total(some, what) for what in ("rows_lost", "rows_twice", "repeated", "processes_left")]
        yield name, len(some), *counts, _shortened(words)
    for part, title in (("vllm", "vLLM"), ("slurm", "SLURM")):
        for trial in sorted(report[part], key=lambda trial: trial["case"]):
            words = trial["message"] or ("nothing: it is gone" if trial["code"] < 0 else "–")
            counts = [trial[what] for what in ("rows_lost", "rows_twice", "repeated", "processes_left")]
            yield f"{title}: {trial['name']}", 1, *counts, _shortened(words)


def _shortened(message: str) -> str:
    """Without the experiment's name, the unit's and folders."""
    text = re.sub(r"^failed: [^:]*: ", "failed: ", message)
    text = re.sub(r"\S+: the texts that the student learns from are not all written: llm-0 (failed|unfinished): ", "", text)
    return re.sub(r"…/\S*/(?=\S)", "…/", text)[:170].replace("|", "/")


def _total(some: Sequence[dict[str, Any]], what: str) -> int:
    return sum(trial[what] for trial in some)


def with_table(text: str, new: str) -> str:
    """The document with the table in the place of the old one."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{new}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    main()
