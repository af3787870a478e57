"""Tokens a second of vLLM on this machine's CPU: its own binding of threads against japagen's, for one server and two side by side.

    python benchmarks/cpu_servers.py [FOLDER …] [--seconds 10] [--open 1 16 64] [--servers 1 2] [--compiled]

FOLDER: a model's folder; without any, the demo LLM. Each server is started as a run starts it (japagen.llm.server), once with
VLLM_CPU_OMP_THREADS_BIND=auto, which is vLLM's default, and once as japagen sets it. Two servers are started as two local workers start
them, each with its share of the cores. All servers of a row are asked at the same time: requests of 40 tokens, so many open at each.
`estimated` is what japagen.llm.estimate says of the model from a probe, before the first server starts. `--compiled` adds a server
without --enforce-eager. Writes benchmarks/results/cpu_servers.json after each LLM; rows of LLMs that are not named stay in it.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from measuring import RESULTS, ROOT, machine, write_result

from japagen.config.llm import LLM, Server
from japagen.llm.cpu import usable_cores
from japagen.llm.endpoint import Endpoint
from japagen.llm.estimate import estimate, tokens_per_s
from japagen.llm.server import serve

DEMO = ROOT / "japagen" / "demo" / "llm"
NUM_TOKENS = 40
PROMPT = "次の条件に合う日本語の文を一つだけ書いてください。\n条件: 身近な出来事を、二十字くらいの短い文で述べること。\n"
SAMPLING = {"temperature": 0.9, "top_p": 0.95, "max_tokens": NUM_TOKENS, "ignore_eos": True}


@contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """This process's environment with `changes`, from which servers start."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def servers(llm: LLM, num: int, logs: Path) -> Iterator[tuple[list[Endpoint], float]]:
    """`num` servers that are ready, and the seconds that took."""
    with ExitStack() as stack, ThreadPoolExecutor(num) as pool:
        began = time.monotonic()
        contexts = [serve(llm, llm.id, None, logs, "cpu") for _ in range(num)]
        endpoints = list(pool.map(lambda context: stack.enter_context(context), contexts))
        yield endpoints, time.monotonic() - began


async def measure(endpoints: Sequence[Endpoint], model: str, num_open: int, seconds: float) -> float:
    """Tokens a second of all endpoints together, with `num_open` requests open at each."""
    tokens, began = 0, time.monotonic()

    async def ask(endpoint: Endpoint, seed: int) -> None:
        nonlocal tokens
        while time.monotonic() < began + seconds:
            body = {"model": model, "prompt": PROMPT, "seed": seed, **SAMPLING}
            headers = {"Authorization": f"Bearer {endpoint.api_key}"}
            async with session.post(f"{endpoint.base_url}/completions", json=body, headers=headers) as response:
                response.raise_for_status()
                tokens += (await response.json())["usage"]["completion_tokens"]
            seed += 1000

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(ask(endpoint, seed) for endpoint in endpoints for seed in range(num_open)))
    return tokens / (time.monotonic() - began)


def rows_of(llm: LLM, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each binding and number of servers."""
    found = estimate(llm)
    estimated = {str(num): round(tokens_per_s(found.weights, found.probe, num), 1) for num in arguments.open} if found else {}
    rows: list[dict[str, Any]] = []
    cases = [(binding, num, False) for num in arguments.servers for binding in ("automatic", "japagen")]
    cases += [("japagen", 1, True)] if arguments.compiled else []
    for binding, num, compiled in cases:
        changes = {"VLLM_CPU_OMP_THREADS_BIND": "auto"} if binding == "automatic" else {}
        changes |= {"OMP_NUM_THREADS": str(max(1, len(usable_cores()) // num))} if num > 1 else {}
        server = Server(enforce_eager=False if compiled else None, start_timeout_s=1800)
        started = LLM(name=llm.name, id=llm.id, dtype=llm.dtype, max_model_len=1024, server=server)
        with tempfile.TemporaryDirectory() as logs, environment(changes), servers(started, num, Path(logs)) as (endpoints, start_s):
            asyncio.run(measure(endpoints, llm.id, max(arguments.open), 1.0))  # the first requests are slower
            rates = {str(count): round(asyncio.run(measure(endpoints, llm.id, count, arguments.seconds)), 1) for count in arguments.open}
        row = {"llm": llm.name, "binding": binding, "servers": num, "compiled": compiled, "start_s": round(start_s), "tokens_per_s": rates}
        if binding == "japagen" and num == 1 and not compiled:
            row["estimated"] = estimated
        print(row, flush=True)
        rows.append(row)
    return rows


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--open", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--servers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--compiled", action="store_true")
    arguments = parser.parse_args()
    folders = arguments.folders or [DEMO]
    for folder in folders:
        name = "demo" if folder.resolve() == DEMO else folder.name
        measured = rows_of(LLM(name=name, id=str(folder.absolute()), dtype=arguments.dtype, max_model_len=1024), arguments)
        path = RESULTS / "cpu_servers.json"
        others = [row for row in json.loads(path.read_text(encoding="utf-8"))["rows"] if row["llm"] != name] if path.is_file() else []
        write_result("cpu_servers", {"machine": machine(), "rows": [*others, *measured]})


if __name__ == "__main__":
    main()
