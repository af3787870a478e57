"""The command `python run.py`: Hydra composes conf/, launch/ runs what it says.

Kept thin and quick: nothing heavy is imported before the work begins, so that --help and --cfg answer at once.
"""

import os
import signal
import sys
from types import FrameType

os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come to us, and we word them
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) == signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is begun yet, so Ctrl-C has nothing to say

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from japagen.config.explain import explain
from japagen.config.schema import register_schema
from japagen.config.validation import to_config
from japagen.errors import ConfigError, JapagenError
from japagen.output import accept_all_characters


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def run(composed: DictConfig) -> None:
    """One experiment; a sweep (-m) goes through hydra_plugins/japagen_launcher.py instead."""
    try:
        config = to_config(composed)
        from launch.execute import execute, failures

        if HydraConfig.get().launcher.get("executor") != "local":
            raise ConfigError("hydra/launcher=slurm takes sweeps: add -m (a sweep may be of one experiment)")
        outcomes = execute([config], HydraConfig.get().runtime.output_dir)
    except JapagenError as error:
        if os.environ.get("JAPAGEN_DEBUG"):
            raise
        sys.exit(explain(error))  # here, because Hydra prints lines of its own about what leaves this function
    if failures(outcomes):
        sys.exit(1)


def _stop(number: int, frame: FrameType | None) -> None:
    """SIGTERM and SIGHUP end us like Ctrl-C does, so that servers are stopped and rows are on the disk."""
    raise KeyboardInterrupt


def main() -> None:
    """Runs and words errors: one message for a user's error, a traceback for a bug of japagen."""
    accept_all_characters()
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # a closed terminal; under nohup it stays ignored
        signal.signal(signal.SIGHUP, _stop)
    if "--debug" in sys.argv:  # Hydra has no such flag
        sys.argv.remove("--debug")
        os.environ["JAPAGEN_DEBUG"] = "1"
    try:
        register_schema()
        run()
        from launch.exitcode import exit_code

        if code := exit_code():
            sys.exit(code)
    except KeyboardInterrupt:
        print("stopped; what was made is in the store, and the same command goes on from there", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # e.g. `run.py --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        message = explain(error)
        if message is None or os.environ.get("JAPAGEN_DEBUG"):
            raise
        sys.exit(message)


if __name__ == "__main__":
    main()
