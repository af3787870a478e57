"""Several workers on this machine: one a GPU, or `workers=n` on the CPU, with a real queue of units before them.

A slot is what one worker holds: a GPU as CUDA_VISIBLE_DEVICES names it (number, UUID, MIG), or '' on the CPU. A server with tensor
parallel t takes t of them. Units start in the plan's order, each as soon as what it needs has ended and its slots are free.
"""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from japagen.config.schema import Config
from japagen.errors import ConfigError
from japagen.llm.build import installed_build
from japagen.sweeps.folder import DONE, FAILED, UNFINISHED, State, SweepFolder, Unit
from launch.console import say
from launch.signals import describe_exit
from launch.worker import WITH_CLIENT


def find_slots(config: Config, units: Sequence[Unit]) -> list[str]:
    """The slots that `workers` and the visible GPUs give; ConfigError where they can't hold the largest unit."""
    on_gpus = config.device != "cpu" and installed_build() == "cuda"
    gpus = visible_gpus() if on_gpus else []
    if not gpus:
        return [""] * (config.workers or 1)
    if config.workers is not None and config.workers > len(gpus):
        raise ConfigError(f"workers={config.workers}, but {len(gpus)} GPU(s) are visible: {', '.join(gpus)}; a worker holds one")
    slots = gpus[: config.workers]
    there = slots if len(slots) > 1 else gpus  # a single worker is this process, which sees them all
    for unit in units:
        if unit.gpus > len(there):
            raise ConfigError(f"{unit.name} takes llm.gpus={unit.gpus} GPUs, but the workers hold {len(there)}: {', '.join(there)}")
    return slots


def visible_gpus() -> list[str]:
    """GPUs that this process may use, as CUDA_VISIBLE_DEVICES would name them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = (name.strip() for name in visible.split(","))
        named = takewhile(lambda name: re.fullmatch(r"\d+|GPU-[\w-]+|MIG-[\w/-]+", name), names)  # CUDA sees none behind a -1
        return list(dict.fromkeys(named))
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]
    return parse_gpu_list(listed)


def parse_gpu_list(listed: str) -> list[str]:
    """`nvidia-smi -L`: the UUIDs of its GPUs; of a GPU that is parted (MIG), those of its parts."""
    found: list[list[str]] = []
    for line in listed.splitlines():
        uuid = re.search(r"UUID: ((?:GPU|MIG)-[\w/-]+)", line)
        if uuid and uuid[1].startswith("GPU-"):
            found.append([uuid[1]])
        elif uuid and found:
            found[-1].append(uuid[1])
    return [name for gpu in found for name in (gpu[1:] or gpu)]


def worker_command(folder: SweepFolder, unit: Unit) -> list[str]:
    """What starts a worker process for one unit; it ends when its standard input closes, so that no GPU is held for a dead client."""
    return [sys.executable, "-m", "launch.worker", WITH_CLIENT, str(folder.root), unit.id]


def run_queue(folder: SweepFolder, units: Sequence[Unit], slots: Sequence[str], after: Callable[[Unit], None]) -> None:
    """Runs all units as worker processes, with `after(unit)` when one has ended; an interruption ends them, with their states kept."""
    if not units:
        return
    say(f"{len(units)} unit(s) on {len(slots)} workers; logs: {folder.root / 'logs'}")
    asyncio.run(_Queue(folder, units, slots, after).run())


class _Queue:
    def __init__(self, folder: SweepFolder, units: Sequence[Unit], slots: Sequence[str], after: Callable[[Unit], None]) -> None:
        self._after = after
        self._folder, self._units, self._free, self._num_slots = folder, list(units), list(slots), len(slots)
        self._ended: set[str] = set()
        self._running: dict[asyncio.Task[None], Unit] = {}

    async def run(self) -> None:
        waiting = list(self._units)
        try:
            while waiting or self._running:
                for unit in list(waiting):
                    if not self._ended.issuperset(unit.needs):
                        continue
                    if len(self._free) < self._size(unit):
                        break  # the next one in order: none that is smaller may starve it
                    waiting.remove(unit)
                    taken = [self._free.pop(0) for _ in range(self._size(unit))]
                    self._running[asyncio.create_task(self._work(unit, taken))] = unit
                ended, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    self._ended.add(self._running.pop(task).id)
                    task.result()
        except asyncio.CancelledError:  # Ctrl-C: the workers are signalled, and awaited
            say(f"stopping {len(self._running)} worker(s), which put away what they have")
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            raise

    def _size(self, unit: Unit) -> int:
        return min(max(1, unit.gpus), self._num_slots)

    async def _work(self, unit: Unit, slots: list[str]) -> None:
        log = self._folder.log(unit.id)
        log.parent.mkdir(parents=True, exist_ok=True)
        before, started = self._folder.state(unit.id), time.time()
        fault, cause = UNFINISHED, ""
        try:
            code = await self._run_worker(unit, slots, log)
            cause = f"the worker ended without a word ({describe_exit(code)}), see {log}"
        except OSError as error:  # such as too many processes
            fault, cause = FAILED, f"the worker couldn't be started: {error}"
        self._free += slots
        state = self._folder.state(unit.id)
        if state.attempts == before.attempts:  # it ended before it could say that it began
            state = State(started=started, attempts=before.attempts + 1, log=str(log))
        if state.ended is None:
            state = self._folder.write_state(unit.id, replace(state, state=fault, cause=cause, ended=time.time()))
        took = f"{state.ended - state.started:.0f} s" if state.ended and state.started else ""
        say(f"{unit.id} {state.state} {took} {unit.name}{'' if state.state == DONE else ': ' + state.cause}")
        self._after(unit)

    async def _run_worker(self, unit: Unit, slots: list[str], log: Path) -> int:
        """Its exit code; cancelled, it tells the worker to end and waits until it has."""
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                *worker_command(self._folder, unit),
                stdin=subprocess.PIPE, stdout=file, stderr=file, env=self._environment(slots), start_new_session=True,
            )  # fmt: skip
            try:
                return await process.wait()
            except asyncio.CancelledError:
                with suppress(ProcessLookupError):  # it has just ended by itself
                    process.terminate()
                await process.wait()
                raise

    def _environment(self, slots: list[str]) -> dict[str, str]:
        environment = dict(os.environ)
        if slots[0]:
            return environment | {"CUDA_VISIBLE_DEVICES": ",".join(slots)}
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # a job's, not the node's
        threads = max(1, cores // self._num_slots)
        return environment | {"OMP_NUM_THREADS": environment.get("OMP_NUM_THREADS", str(threads))}
