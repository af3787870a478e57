"""What people said of a data set's labels, on a screen: a table for each sheet, and how well two people agree."""

from rich.console import Console
from rich.markup import escape

from japagen.commands.artifacts.quality_tables import plain_table, print_title
from japagen.curation.label_noise import UNCLEAR, LabelNoise, SheetNoise
from japagen.evaluation.confusions import MANY_LABELS
from japagen.evaluation.label_noise import Estimate

NUM_NAMED = 4
"""Other labels named beside a label, of more than MANY_LABELS."""


def print_label_noise(found: LabelNoise, console: Console) -> None:
    """A table for each sheet, then how well two sheets agree."""
    for sheet in found.sheets:
        _print_sheet(sheet, console)
    if len(found.sheets) < 2:
        return
    both, names = found.agreement, " and ".join(sheet.sheet for sheet in found.sheets)
    if both is None:
        print_title(console, "two people", f"{names} label no row in common")
        return
    print_title(console, "two people", f"{names}, on the {both.disagreement.num} rows that both label")
    line = f"  different labels {_share_with_interval(both.disagreement)}; Cohen's kappa {_number_with_interval(both.kappa)}"
    console.print(line, markup=False, soft_wrap=True)
    for label, counts in both.confusion.items():
        if others := _others_named(counts, label):
            console.print(f"  {label} for the first, for the second: {others}", markup=False, soft_wrap=True)


def _print_sheet(sheet: SheetNoise, console: Console) -> None:
    counted = f"{sheet.num_labelled} labelled, {sheet.num_unclear} unclear, {sheet.num_unlabelled} empty"
    print_title(console, "label noise by people", f"{sheet.sheet}: {counted}; 95% intervals")
    right = ["rows", "noise", "interval", UNCLEAR]
    table = plain_table(["label", *right, "labelled as"], right=right)
    for label, counts in sheet.confusion.items():
        estimate, unclear = sheet.by_label.get(label), counts.get(UNCLEAR, 0)
        cells = ["0", "–", "–"] if estimate is None else [str(estimate.num), _percent(estimate.value), _interval(estimate)]
        table.add_row(escape(label), *cells, str(unclear), escape(_others_named(counts, label) or "–"))
    if sheet.noise is not None:
        table.add_row("all", str(sheet.noise.num), _percent(sheet.noise.value), _interval(sheet.noise), str(sheet.num_unclear), "")
    console.print(table)
    if sheet.noise is not None and sheet.covered < 1:
        console.print(f"  all: of the labels with labelled rows, {_percent(sheet.covered)} of the data set", markup=False)
    console.print(f"  Cohen's kappa with the data set: {_number_with_interval(sheet.kappa)}", markup=False)


def _others_named(counts: dict[str, int], label: str) -> str:
    """'negative 3, neutral 1': other labels that people gave, the most frequent first."""
    others = {name: num for name, num in counts.items() if name not in (label, UNCLEAR)}
    shown = list(others.items())[: MANY_LABELS if len(others) <= MANY_LABELS else NUM_NAMED]
    more = f" and {len(others) - len(shown)} more" if len(others) > len(shown) else ""
    return ", ".join(f"{name} {num}" for name, num in shown) + more


def _interval(estimate: Estimate) -> str:
    """'1.7% to 13.7%'."""
    return f"{_percent(estimate.low)} to {_percent(estimate.high)}"


def _share_with_interval(estimate: Estimate) -> str:
    """'5.0% (1.7% to 13.7%)'."""
    return f"{_percent(estimate.value)} ({_interval(estimate)})"


def _number_with_interval(estimate: Estimate | None) -> str:
    """'0.912 (0.851 to 0.948), n=180'; a dash where all rows have one label."""
    if estimate is None:
        return "– (one label only)"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f}), n={estimate.num}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"
