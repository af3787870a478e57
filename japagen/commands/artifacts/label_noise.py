"""`japagen label-noise DATASET SHEET [SECOND]`: how often people give a data set's rows another label than it has.

Takes back what `japagen sample-to-label DATASET` drew: the noise rate of each label and of all rows with 95% intervals, which labels are
given in place of which, and Cohen's kappa with the data set; of two people's sheets also how well they agree. Rows that a person calls
unclear, or left empty, are counted and not guessed. The figures and the labels are kept in the store, where `japagen show` and reports
find them; a later call replaces them.
"""

from pathlib import Path

from japagen.commands.artifacts.artifacts import FEWEST_DIGITS, find_dataset
from japagen.commands.artifacts.label_noise_tables import print_label_noise
from japagen.commands.terminal import add_store_option, make_console, make_parser
from japagen.config.composition import compose_config
from japagen.curation.label_noise import read_noise, write_noise
from japagen.errors import ConfigError
from japagen.store.files import expand_home

MOST_SHEETS = 2


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
