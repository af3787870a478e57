"""The ceiling that clients are measured against: a loop on aiohttp that asks, tries again, appends a line a text, and does nothing else.

    python benchmarks/bare_loop.py --url http://127.0.0.1:8199/v1 --rows 10000 --open 64 --out texts.jsonl

Text i is asked for with seed i. `--prompts` names a JSON file with a list of chats, asked in turn, so that two programs can be given the
same prompts; without it each request says its `row=`. Ends by printing a JSON line: seconds and CPU seconds of the loop alone (no start
of Python, no imports), peak memory of the process, and how many texts were given up after six tries.
"""

import argparse
import asyncio
import json
import re
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TextIO

import aiohttp

MAX_TRIES = 6
PAUSE_S = 0.1
TIMEOUT_S = 600
PROMPT = "飲食店についての肯定的なレビューを、200文字以内で一つ書いてください。レビューだけを出力してください。"


async def ask_all(url: str, chats: list[Any], num: int, num_open: int, num_texts: int, out: TextIO) -> int:
    """Appends `num` texts to `out`, `num_texts` a request, `num_open` requests at a time; how many were given up."""
    lost = 0
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:

        async def ask_some(firsts: Iterator[int]) -> None:
            nonlocal lost
            for first in firsts:
                chat = chats[first // num_texts % len(chats)] if chats else [{"role": "user", "content": f"{PROMPT} row={first}"}]
                body = {"model": "stub", "messages": chat, "n": num_texts, "seed": first, "temperature": 0.7, "max_tokens": 256}
                choices = await ask(session, f"{url}/chat/completions", body)
                lost += num_texts - len(choices)
                for index, choice in enumerate(choices, first):
                    out.write(json.dumps({"i": index, "text": choice["message"]["content"]}, ensure_ascii=False) + "\n")

        firsts = iter(range(0, num, num_texts))
        await asyncio.gather(*(ask_some(firsts) for _ in range(num_open)))
    return lost


async def ask(session: aiohttp.ClientSession, address: str, body: dict[str, Any]) -> list[Any]:
    """The answer's choices; none after the last try."""
    for attempt in range(MAX_TRIES):
        try:
            async with session.post(address, json=body) as response:
                if response.status == 200:
                    choices: list[Any] = (await response.json())["choices"]
                    return choices
                await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            pass
        await asyncio.sleep(PAUSE_S * 2**attempt)
    return []


def measure(work: Coroutine[Any, Any, Any]) -> tuple[Any, dict[str, float]]:
    """What the coroutine gives, and what it took: seconds, CPU seconds, and the process's peak memory (10^6 bytes)."""
    started, cpu = time.perf_counter(), time.process_time()
    given = asyncio.run(work)
    return given, {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu, "peak_mb": memory_mb("VmHWM")}


def memory_mb(which: str) -> float:
    """This process's memory (10^6 bytes): VmRSS now, VmHWM at most so far."""
    found = re.search(rf"{which}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found
    return int(found[1]) * 1024 / 1e6


def main() -> None:
    """Asks for the texts and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8199/v1", help="the server, up to its /v1")
    parser.add_argument("--rows", type=int, default=10_000, help="texts")
    parser.add_argument("--open", type=int, default=64, help="requests at a time")
    parser.add_argument("--texts", type=int, default=1, help="texts a request")
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    chats = json.loads(args.prompts.read_text(encoding="utf-8")) if args.prompts else []
    with args.out.open("a", encoding="utf-8", buffering=1) as out:  # each line reaches the system at once
        lost, took = measure(ask_all(args.url, chats, args.rows, args.open, args.texts, out))
    print(json.dumps({"rows": args.rows - lost, "lost": lost, **took}))


if __name__ == "__main__":
    main()
