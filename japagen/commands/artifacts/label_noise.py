"""`japagen label-noise DATASET SHEET [SECOND]`: how often people give a data set's rows another label than it has.

Takes back what `japagen sample-to-label DATASET` drew: the noise rate of each label and of all rows with 95% intervals, which labels are
given in place of which, and Cohen's kappa with the data set; of two people's sheets also how well they agree. Rows that a person calls
unclear, or left empty, are counted and not guessed. The figures and the labels are kept in the store, where `japagen show` and reports
find them; a later call replaces them.
"""

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from japagen.commands.artifacts.artifacts import FEWEST_DIGITS, find_dataset
from japagen.commands.artifacts.quality_tables import plain_table, print_title
from japagen.commands.terminal import add_store_option, make_console, make_parser
from japagen.config.composition import compose_config
from japagen.curation.label_noise import UNCLEAR, LabelNoise, SheetNoise, read_noise, write_noise
from japagen.errors import ConfigError
from japagen.evaluation.confusions import MANY_LABELS
from japagen.evaluation.label_noise import Estimate
from japagen.store.files import expand_home

MOST_SHEETS = 2
NUM_NAMED = 4
"""Other labels named beside a label."""


def main(arguments: list[str]) -> int:
    """Measures, keeps and prints one data set's label noise."""
    parser = make_parser("label-noise", __doc__, "877001d0 877001d0-to-label.csv", "877001d0 anna.csv ben.csv   # two people's sheets")
    parser.add_argument("dataset", metavar="DATASET", help=f"a data set's key, its first digits ({FEWEST_DIGITS} or more), or its folder")
    parser.add_argument("given", nargs="+", metavar="SHEET|KEY=VALUE", help="one sheet or two; task=… for a data set of an old version")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="folder with groups of your own: DIR/task/NAME.yaml")
    add_store_option(parser)
    parsed = parser.parse_intermixed_args(arguments)
    overrides = [given for given in parsed.given if "=" in given and not Path(given).is_file()]
    paths = [expand_home(given) for given in parsed.given if given not in overrides]
    if not 1 <= len(paths) <= MOST_SHEETS or len({path.resolve() for path in paths}) < len(paths):
        raise ConfigError(f"{len(paths)} sheet(s) named; name one, or two different ones of two people")
    from japagen.commands.artifacts.show import choose_task
    from japagen.quality.label_sheets import dataset_rows, measure_noise, read_sheet
    from japagen.quality.report import check_fits

    artifact, console = find_dataset(parsed.store, parsed.dataset), make_console()
    store, key = artifact.store, artifact.key
    task, _ = choose_task(artifact, compose_config(overrides, parsed.config_dir), overrides)
    check_fits(store, key, task)
    rows = dataset_rows(store, key, task)
    sheets = [read_sheet(task, key, rows, path) for path in paths]
    for note in (note for sheet in sheets for note in sheet.notes):
        console.print(note, soft_wrap=True, markup=False)
    before, found = read_noise(store, key), measure_noise(task, key, rows, sheets)
    path = write_noise(store, found)
    console.print(f"[bold]{artifact.name}[/]")
    print_label_noise(found, console)
    replaced = "" if before is None else f" (in place of what was measured {before.created})"
    console.print(f"\nkept: {path}{replaced}", soft_wrap=True, markup=False)
    return 0


def print_label_noise(found: LabelNoise, console: Console) -> None:
    """A table for each sheet, then how well two sheets agree."""
    for sheet in found.sheets:
        _print_sheet(sheet, console)
    if len(found.sheets) < MOST_SHEETS:
        return
    both, names = found.agreement, " and ".join(sheet.sheet for sheet in found.sheets)
    if both is None:
        print_title(console, "two people", f"{names} label no row in common")
        return
    print_title(console, "two people", f"{names}, on the {both.disagreement.num} rows that both label")
    line = f"  different labels {share_with_interval(both.disagreement)}; Cohen's kappa {number_with_interval(both.kappa)}"
    console.print(line, markup=False, soft_wrap=True)
    for label, counts in both.confusion.items():
        if others := others_named(counts, label):
            console.print(f"  {label} for the first, for the second: {others}", markup=False, soft_wrap=True)


def _print_sheet(sheet: SheetNoise, console: Console) -> None:
    counted = f"{sheet.num_labelled} labelled, {sheet.num_unclear} unclear, {sheet.num_unlabelled} empty"
    print_title(console, "label noise by people", f"{sheet.sheet}: {counted}; 95% intervals")
    right = ["rows", "noise", "interval", UNCLEAR]
    table = plain_table(["label", *right, "labelled as"], right=right)
    for label, counts in sheet.confusion.items():
        estimate, unclear = sheet.by_label.get(label), counts.get(UNCLEAR, 0)
        cells = ["0", "–", "–"] if estimate is None else [str(estimate.num), _percent(estimate.value), interval(estimate)]
        table.add_row(escape(label), *cells, str(unclear), escape(others_named(counts, label) or "–"))
    if sheet.noise is not None:
        table.add_row("all", str(sheet.noise.num), _percent(sheet.noise.value), interval(sheet.noise), str(sheet.num_unclear), "")
    console.print(table)
    if sheet.noise is not None and sheet.covered < 1:
        console.print(f"  all: of the labels with labelled rows, {_percent(sheet.covered)} of the data set", markup=False)
    console.print(f"  Cohen's kappa with the data set: {number_with_interval(sheet.kappa)}", markup=False)


def others_named(counts: dict[str, int], label: str) -> str:
    """'negative 3, neutral 1': other labels that people gave, the most frequent first."""
    others = {name: num for name, num in counts.items() if name not in (label, UNCLEAR)}
    shown = list(others.items())[: MANY_LABELS if len(others) <= MANY_LABELS else NUM_NAMED]
    more = f" and {len(others) - len(shown)} more" if len(others) > len(shown) else ""
    return ", ".join(f"{name} {num}" for name, num in shown) + more


def interval(estimate: Estimate) -> str:
    """'1.7% to 13.7%'."""
    return f"{_percent(estimate.low)} to {_percent(estimate.high)}"


def share_with_interval(estimate: Estimate) -> str:
    """'5.0% (1.7% to 13.7%)'."""
    return f"{_percent(estimate.value)} ({interval(estimate)})"


def number_with_interval(estimate: Estimate | None) -> str:
    """'0.912 (0.851 to 0.948), n=180'; a dash where all rows have one label."""
    if estimate is None:
        return "– (one label only)"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f}), n={estimate.num}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"
