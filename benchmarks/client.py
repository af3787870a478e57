"""Synthesis against a stub server, beside a bare aiohttp loop that does the same requests: rows a second, CPU a row, memory a row.

    python benchmarks/client.py [--rows 4000] [--rounds 3] [--open 64 256] [--memory-rows 60000] [--against CHECKOUT]

The stub (`stub_server.py`, a process of its own) answers after 50 ms with Japanese texts of 200 characters, each different. Three programs
fill the same stream of task marcja, each as a process of its own, one after the other, in another order every round:

- bare: `bare_loop.py` with the stream's own prompts;
- stream: what a run does to fill a stream (claims of blocks, retries, tokens counted, rows appended and synced, progress shown), with a
  selection that takes every reply;
- filtered: the same with the selection that a run has (all filters, near duplicates too), which no other client here does.

Each is measured from its first request to its last row: no start of Python, no imports. The same with 8 texts a request. `--against` runs
another checkout's code in the same rounds and says whether both store the same bytes. At last memory: how it grows over the second half of
a long stream. Writes benchmarks/results/client.json (none with `--rounds 0`) and client_memory.json (none with `--memory-rows`, no number).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bare_loop import measure, memory_mb
from measuring import ROOT, machine, write_result
from stub_server import Settings, ask_stub, running_stub

MANY = 8
"""Texts a request, where one isn't what is measured."""
CHARS = 200
PROGRAMS = ("bare", "stream", "filtered")


def main() -> None:
    """Measures all programs in rounds and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--open", type=int, nargs="+", default=[64, 256], help="open requests")
    parser.add_argument("--memory-rows", type=int, nargs="*", default=[60_000], help="lengths of the streams whose memory is measured")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--fill", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fill:
        url, program, folder, *numbers = args.fill
        fill(url, program == "filtered", Path(folder), *map(int, numbers))
        return
    checkouts = {"": ROOT} | ({" before": args.against.resolve()} if args.against else {})
    about = {"task": "marcja", "characters": CHARS, "machine": machine("aiohttp")}
    with running_stub(Settings(chars=CHARS)) as stub, tempfile.TemporaryDirectory() as name:
        if args.rounds:
            rates = measure_rates(stub, checkouts, Path(name), args.rows, args.rounds, args.open)
            write_result("client", about | {"latency_ms": 50} | rates)
        if args.memory_rows:
            write_result("client_memory", about | measure_memory(stub, Path(name), args.memory_rows, args.open[-1]))


def measure_rates(stub: str, checkouts: Mapping[str, Path], folder: Path, num: int, rounds: int, widths: Sequence[int]) -> dict[str, Any]:
    """All programs in rounds."""
    programs = ["bare", *(f"{name}{suffix}" for suffix in checkouts for name in PROGRAMS[1:])]
    settings = [(num_open, 1) for num_open in widths] + [(widths[0], MANY)]
    runs: list[dict[str, Any]] = []
    for number in range(rounds):
        for setting in settings:
            for program in programs if number % 2 == 0 else programs[::-1]:
                checkout = checkouts[" before" if program.endswith(" before") else ""]
                runs.append(run(stub, program, checkout, folder, num, *setting))
                print(runs[-1], flush=True)
    return {
        "rows": num,
        "rounds": rounds,
        "medians": [summary(runs, programs, *setting) for setting in settings],
        f"cpu_us_per_row, 1 text a request / {MANY}": per_text(runs, programs, widths[0]),
        **compare(stub, checkouts, folder, min(num, 2_000)),
        "runs": runs,
    }


def measure_memory(stub: str, folder: Path, lengths: Sequence[int], num_open: int) -> dict[str, Any]:
    """Long streams, MANY texts a request, from a stub that answers after 5 ms."""
    ask_stub(stub, "/reset", {"latency_ms": 5})
    runs = []
    for num in lengths:
        for program in PROGRAMS[1:]:
            runs.append(run(stub, program, ROOT, folder, num, num_open, MANY))
            print(runs[-1], flush=True)
    return {"latency_ms": 5, "runs": runs}


def run(stub: str, program: str, checkout: Path, folder: Path, num: int, num_open: int, num_texts: int) -> dict[str, Any]:
    """One program over a new stream, and what it took."""
    ask_stub(stub, "/reset", {})
    with tempfile.TemporaryDirectory(dir=folder) as made:
        took = start(f"{stub}/v1", program, checkout, Path(made), num, num_open, num_texts)
    counted = ask_stub(stub, "/stats")
    return {
        "program": program, "open": num_open, "texts a request": num_texts, "rows": took["rows"],
        "rows_per_s": round(took["rows"] / took["seconds"], 1), "cpu_us_per_row": round(1e6 * took["cpu_seconds"] / took["rows"], 1),
        "peak_mb": round(took["peak_mb"], 1), "grows_bytes_per_row": took.get("grows_bytes_per_row"), "requests": counted["total"],
        "most open": counted["max_concurrency"], "server_cpu_us_per_row": round(1e6 * counted["server_cpu_s"] / took["rows"], 1),
        "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def start(url: str, program: str, checkout: Path, folder: Path, num: int, num_open: int, num_texts: int) -> dict[str, Any]:
    """Runs a program in a process of its own; what it printed last."""
    if program == "bare":
        (folder / "prompts").write_text(json.dumps(chats(num_texts), ensure_ascii=False), encoding="utf-8")
        script = ["bare_loop.py", "--prompts", f"{folder}/prompts", "--out", f"{folder}/out", "--url", url]
        script += ["--rows", str(num), "--open", str(num_open), "--texts", str(num_texts)]
    else:
        script = ["client.py", "--fill", url, program.split()[0], str(folder), str(num), str(num_open), str(num_texts)]
    script[0] = str(checkout / "benchmarks" / script[0])  # another checkout's own script knows its modules
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run([sys.executable, *script], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    took: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return took


@cache
def chats(num_texts: int) -> list[Any]:
    """The prompts of the stream's first requests, one a label."""
    from japagen.config.composition import compose_config
    from japagen.experiments.planning import plan_experiment

    stream = plan_experiment(compose_config(overrides("http://127.0.0.1/v1", 2, 1, num_texts))).stream
    return [stream.ask(label, 0).messages for label in stream.task.label_names]


def overrides(url: str, num: int, num_open: int, num_texts: int) -> list[str]:
    """Settings of the experiment whose stream is filled."""
    numbers = [f"num_per_label={num // 2}", f"synthesis.concurrency={num_open}", f"synthesis.texts_per_request={num_texts}"]
    return ["task=marcja", "llm=demo", f"llm.base_url={url}", *numbers]


class TakeAll:
    """The selection that takes every reply (`generate.RowSelector`)."""

    def __init__(self, labels: Sequence[str], num: int) -> None:
        self._num_taken, self._num = dict.fromkeys(labels, 0), num

    def advance(self, rows: Any) -> None:
        for label in self._num_taken:
            while not self.is_full(label) and rows.get(label, self._num_taken[label], 0) is not None:
                self._num_taken[label] += 1

    def is_full(self, label: str) -> bool:
        return self._num_taken[label] >= self._num

    def first_sentence(self, row: Any) -> str:
        raise AssertionError("no task of pairs")

    def num_judged(self, label: str) -> int:
        return self._num_taken[label]

    num_accepted = next_index = num_judged

    def rejects(self, label: str) -> Mapping[str, int]:
        return {}

    reasons = rejects

    def rejected_texts(self, label: str) -> Sequence[str]:
        return ()


def fill(url: str, is_filtered: bool, folder: Path, num: int, num_open: int, num_texts: int) -> None:
    """Fills a stream as `japagen.experiments.stages.fill` does, in a new store, and prints what it took."""
    from japagen.config.composition import compose_config
    from japagen.experiments.planning import plan_experiment
    from japagen.experiments.requests import make_selector
    from japagen.llm.client import Client
    from japagen.llm.endpoint import Endpoint
    from japagen.store.store import Store
    from japagen.synthesis.claims import Claims
    from japagen.synthesis.generate import Generator, StreamProgress
    from japagen.synthesis.stream import open_rows
    from launch.progress import show_progress

    experiment = plan_experiment(compose_config(overrides(url, num, num_open, num_texts)))
    config, stream, store = experiment.config, experiment.stream, Store(folder)
    selection: Any = make_selector(experiment) if is_filtered else TakeAll(config.task.label_names, num // 2)
    halfway: list[tuple[int, float]] = []

    async def work() -> int:
        async with Client(Endpoint(url), config.llm.id, num_open) as client:
            with Claims(store, stream) as claims, show_progress(stream.task.name) as display:

                def show(progress: StreamProgress) -> None:
                    display.show(progress)
                    if not halfway and 2 * progress.new_rows >= num:
                        halfway.append((progress.new_rows, memory_mb("VmRSS")))

                rows = open_rows(store, stream)
                generator = Generator(stream, rows, selection, config.llm.sampling, num // 2, 5.0, show, claims)
                await generator.run(client)
                return generator.progress().new_rows

    made, took = measure(work())
    ((rows_then, mb_then),) = halfway
    grows = (took["peak_mb"] - mb_then) * 1e6 / max(made - rows_then, 1)
    print(json.dumps({"rows": made, **took, "grows_bytes_per_row": round(grows)}))


def compare(stub: str, checkouts: Mapping[str, Path], folder: Path, num: int) -> dict[str, bool]:
    """Whether all checkouts store the same bytes, one request at a time so that replies come in one order."""
    if len(checkouts) == 1:
        return {}
    ask_stub(stub, "/reset", {"latency_ms": 0})
    stored = []
    for checkout in checkouts.values():
        for num_texts in (1, MANY):
            with tempfile.TemporaryDirectory(dir=folder) as made:
                start(f"{stub}/v1", "filtered", checkout, Path(made), num, 1, num_texts)
                stored.append(b"".join(path.read_bytes() for path in sorted(Path(made).glob("streams/*/rows-*.jsonl"))))
    return {"stores the same bytes as before": stored[:2] == stored[2:] and all(stored)}


def summary(runs: Sequence[Mapping[str, Any]], programs: Sequence[str], num_open: int, num_texts: int) -> dict[str, Any]:
    """Medians (and ranges) over the rounds; ratios to the bare loop are medians of each round's own."""
    found: dict[str, Any] = {"open": num_open, "texts a request": num_texts}
    chosen = {name: [run for run in runs if key_of(run) == (name, num_open, num_texts)] for name in programs}
    for name, own in chosen.items():
        found[name] = {field: spread([run[field] for run in own]) for field in ("rows_per_s", "cpu_us_per_row", "server_cpu_us_per_row")}
        if name != "bare":
            for field in ("rows_per_s", "cpu_us_per_row"):
                found[name][f"{field} / bare"] = spread([run[field] / bare[field] for run, bare in zip(own, chosen["bare"], strict=True)])
    return found


def per_text(runs: Sequence[Mapping[str, Any]], programs: Sequence[str], num_open: int) -> dict[str, Any]:
    """How many times less CPU a row takes where a request brings MANY texts."""
    ratios = {}
    for name in programs:
        single_runs, many_runs = ([run["cpu_us_per_row"] for run in runs if key_of(run) == (name, num_open, n)] for n in (1, MANY))
        ratios[name] = spread([run / other for run, other in zip(single_runs, many_runs, strict=True)])
    return ratios


def key_of(run: Mapping[str, Any]) -> tuple[str, int, int]:
    """What tells the runs of a round apart."""
    return run["program"], run["open"], run["texts a request"]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


if __name__ == "__main__":
    main()
