"""`japagen COMMAND …`: finds the command's module, runs it, words its errors as run.py does.

Each module has `main(arguments) -> exit code` and is imported only when it is called, so that --help answers at once.
"""

import argparse
import os
import signal
import sys
from importlib import import_module
from types import FrameType

from japagen.errors import JapagenError, nearest
from japagen.output import accept_all_characters

COMMANDS = {
    "new-task": ("japagen.commands.tasks.new_task", "ask for a task's labels and texts, and write its YAML"),
    "preview": ("japagen.commands.preview.preview", "show a task's prompts, a few replies to them, and what a full run would take"),
    "fetch": ("japagen.commands.sweeps.fetch", "bring the models and gold data that a sweep loads, for nodes without internet"),
    "status": ("japagen.commands.sweeps.status", "show how far a sweep is, what failed and why, and what is still to come"),
    "logs": ("japagen.commands.sweeps.logs", "show the log of a sweep's unit or job"),
    "show": ("japagen.commands.artifacts.show", "show what an artifact of the store is; for a data set its quality"),
    "report": (
        "japagen.commands.sweeps.report",
        "what sweeps found out: tables for the terminal, papers and spreadsheets, or one HTML page",
    ),
    "predict": ("japagen.commands.predict.predict", "label the texts of a file with a student"),
    "sample-to-label": (
        "japagen.commands.predict.sample_to_label",
        "draw texts from a file into a CSV to be labelled by hand, for an honest score; or rows of a data set, for its label noise",
    ),
    "label-noise": ("japagen.commands.artifacts.label_noise", "how often people label a data set's rows otherwise; takes the CSV back"),
    "export": ("japagen.commands.artifacts.export", "copy a data set or a student out of the store, with its card and licence"),
    "ls": ("japagen.commands.artifacts.ls", "list what the store holds: sizes, age, which sweeps use it"),
    "gc": ("japagen.commands.artifacts.gc", "remove what no kept result needs; shows only, unless told to"),
    "verify": ("japagen.commands.artifacts.verify", "make a result once more from what the LLM said, and say what differs"),
    "why": ("japagen.commands.artifacts.why", "which stages would be made anew, and which settings differ from the nearest in the store"),
    "doctor": ("japagen.commands.doctor.doctor", "check this installation, and an LLM with llm=…"),
}
"""Name -> module, and what it is for in one line."""


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits with its code: 0, or 1 for a fault, which is worded on stderr."""
    accept_all_characters()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    parsed = _parser().parse_args(arguments)
    if parsed.debug:
        os.environ["JAPAGEN_DEBUG"] = "1"
    if parsed.command is None:
        _parser().print_help()
        sys.exit(0)
    if parsed.command not in COMMANDS:
        sys.exit(f"error: there is no command {parsed.command!r}{nearest(parsed.command, COMMANDS)}; commands: {', '.join(COMMANDS)}")
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(_run(COMMANDS[parsed.command][0], parsed.rest))


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:16} {summary}" for name, (_, summary) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        "japagen",
        description="A text classifier without labelled data. Experiments are run by `python run.py`; these commands stand around them:",
        epilog=f"{listed}\n\n`japagen COMMAND --help` explains one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="japagen [-h] [--debug] COMMAND …",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of a fault")
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _run(module: str, arguments: list[str]) -> int:
    try:
        return int(import_module(module).main(arguments))
    except KeyboardInterrupt:
        print("stopped; what was made is in the store, and the same command goes on from there", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # e.g. `japagen preview | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        message = f"error: {error}" if isinstance(error, JapagenError) else _explain(error)
        if message is None or os.environ.get("JAPAGEN_DEBUG"):
            raise
        print(message, file=sys.stderr)
        return 1


def _explain(error: Exception) -> str | None:
    from japagen.config.explain import explain

    return explain(error)


def _stop(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends us like Ctrl-C does, so that servers are stopped and rows are on the disk."""
    raise KeyboardInterrupt
