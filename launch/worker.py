"""A process that does units of a planned sweep: `python -m launch.worker FOLDER UNIT…`, and what submitit starts on a node.

It reads the sweep's folder and runs no Hydra. Asked to end (USR2 before a time limit, TERM at preemption) it puts away what it has; where
the site allows, a SLURM job then goes back into the queue and continues in its next start.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from japagen.errors import StoreError
from japagen.experiments.planning import Planner
from japagen.output import accept_all_characters
from japagen.store.store import Store
from japagen.sweeps.folder import DONE, FAILED, LLM, RUNNING, UNFINISHED, State, SweepFolder, Unit, explain_unknown_plan
from launch import signals
from launch.console import say
from launch.work import UnitReport, cause_of, check_plan, run_unit

MAX_REQUEUES = 100
"""A job that was put back so often makes no progress."""
WITH_CLIENT = "--with-client"
LOG_ENCODING = "utf-8"
"""A worker's output is its log, which `japagen logs` reads."""


def main(arguments: Sequence[str]) -> int:
    """Does the units in turn; 1 when one of them failed. `--with-client` before them: ends when standard input closes."""
    accept_all_characters(LOG_ENCODING)
    signals.listen()
    if arguments[0] == WITH_CLIENT:
        signals.end_with_client()
        arguments = arguments[1:]
    return work(SweepFolder(Path(arguments[0])), arguments[1:])


def run_job(folder: str, units: Sequence[str]) -> None:
    """A SLURM job (the function that submitit pickles): one unit in this process, several as processes of their own."""
    accept_all_characters(LOG_ENCODING)
    signals.listen()
    sweep = SweepFolder(Path(folder))
    try:
        code = work(sweep, units) if len(units) == 1 else _pack(sweep, units)
    except KeyboardInterrupt:
        if signals.received() == signals.TIME_IS_UP and _requeue(sweep, units[0]):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pause()  # SLURM ends this start now
        sys.exit(128 + signal.SIGTERM)
    if code:
        sys.exit(code)  # SLURM then says FAILED, not COMPLETED


def work(folder: SweepFolder, ids: Sequence[str]) -> int:
    """Does the named units one after the other; 1 when one of them failed, else 0."""
    try:
        with explain_unknown_plan(folder):
            units = {unit.id: unit for unit in folder.units()}
            folder.experiments()
    except StoreError as error:  # such as a plan that was written before an update, for a job that starts after it
        say(f"error: {error}")
        for id_ in ids:
            UnitReport(folder, Unit(id_, "", "", ())).end(FAILED, str(error))
        return 1
    states = [_do_unit(folder, units[id_]) for id_ in ids]
    return int(any(state.state != DONE for state in states))


def _do_unit(folder: SweepFolder, unit: Unit) -> State:
    planned = folder.experiments()
    planner = Planner()
    try:
        experiments = [planner.plan(folder.config(number)) for number in unit.experiments]
        for number, experiment in zip(unit.experiments, experiments, strict=True):
            check_plan(planned[number], experiment)
    except KeyboardInterrupt:
        UnitReport(folder, unit).end(UNFINISHED, signals.cause())
        raise
    except Exception as error:  # such as a gold file that this machine doesn't see
        return UnitReport(folder, unit).end(FAILED, cause_of(error))
    state = run_unit(folder, unit, experiments, Store(experiments[0].config.store))
    if state.cause:
        say(f"{unit.id} {state.state}: {state.cause}")
    return state


def _pack(folder: SweepFolder, ids: Sequence[str]) -> int:
    """Several units as processes, `side_by_side` at a time; an interruption ends them all, each with its state kept."""
    processes: list[subprocess.Popen[bytes]] = []

    def run(id_: str) -> int:
        process = subprocess.Popen([sys.executable, "-m", "launch.worker", str(folder.root), id_])
        processes.append(process)
        code = process.wait()
        state = folder.state(id_)
        if code and (state.state == RUNNING or state.pid != process.pid):
            folder.end(id_, FAILED, f"its process left no cause ({signals.describe_exit(code)}); log: {state.log}")
        return code

    with ThreadPoolExecutor(folder.config(0).site.student.side_by_side) as pool:
        try:
            codes = list(pool.map(run, ids))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            raise
    return int(any(codes))


def _requeue(folder: SweepFolder, unit: str) -> bool:
    """Puts this SLURM job back into the queue where its site allows that."""
    site = folder.config(0).site
    step = site.llm if next(planned for planned in folder.units() if planned.id == unit).kind == LLM else site.student
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or not step.requeue or int(os.environ.get("SLURM_RESTART_COUNT", "0")) >= MAX_REQUEUES:
        return False
    say(f"{unit}: back into the queue, to go on where it was")
    done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
    return done.returncode == 0 or "pending" in done.stderr  # of an array's task it may say so although it was requeued


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
