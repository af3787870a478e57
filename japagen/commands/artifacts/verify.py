"""`japagen verify RESULT`: makes a result once more from what the LLM said, and says what differs.

Compared are the files with their checksums, the keys, each reply's seed, the data set byte for byte, predictions and scores; with --train
the student too is trained again, which on the CPU gives the same bytes. Exit code 1 where something differs.
"""

from japagen.commands.artifacts.artifacts import FEWEST_DIGITS, find_artifact
from japagen.commands.terminal import add_store_option, make_console, make_parser, open_store
from japagen.errors import StoreError

_EXAMPLES = ("c5a79acd", "c5a79acd --train      # the student as well: takes as long as training did")


def main(arguments: list[str]) -> int:
    """Verifies one result."""
    parser = make_parser("verify", __doc__, *_EXAMPLES)
    parser.add_argument("result", metavar="RESULT", help=f"a result: the first digits of its key ({FEWEST_DIGITS} or more) or its folder")
    parser.add_argument("--train", action="store_true", help="train the student again, and compare its weights")
    add_store_option(parser)
    parsed = parser.parse_args(arguments)
    result, console = find_artifact(open_store(parsed.store), parsed.result), make_console()
    if result.stage != "result":
        raise StoreError(f"{result.name} is no result; name one (`japagen ls results` lists them)")
    from japagen.commands.artifacts.verification import DIFFERS, planned_config, verify

    def say(line: str) -> None:
        console.print(line, style="dim", markup=False)

    found = []
    for check in verify(result, planned_config(result), parsed.train, say):
        console.print(
            f"{check.outcome:12} {check.what}: {check.detail}",
            style="red" if check.outcome == DIFFERS else "",
            soft_wrap=True,
            markup=False,
        )
        found.append(check.outcome)
    return int(DIFFERS in found)
