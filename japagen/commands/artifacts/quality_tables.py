"""A quality report on a screen: a heading, tables, examples. Every share and mean is shown beside the number of rows it is of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from japagen.commands.artifacts.descriptions import print_facts
from japagen.evaluation.confusions import MANY_LABELS
from japagen.evaluation.vectors import LabelAgreement, weakest
from japagen.prompts.replies import QUOTES_GOLD, REASONS
from japagen.quality.likeness import THRESHOLDS
from japagen.quality.report import Quality
from japagen.quality.samples import SEED

NOTHING = "–"
NUM_ENDS = 3
"""Labels at each end of a long list that is shortened."""
NUM_LOWEST = 5
"""Labels that are shown of many by their agreement."""
WIDE_LABEL = 24
"""Characters of a label's name above which its texts stand below it."""


def print_quality(quality: Quality, console: Console) -> None:
    """All parts, each with its meaning and how to read it."""
    rows = f"{quality.rows['train']} to train on, {quality.rows['valid']} to select on"
    gold = quality.gold
    beside = f"{gold['source']} (split {gold['split']}, n={gold['rows']})" if gold else quality.missing["gold"]
    print_facts({"task": quality.task, "rows": rows, "compared with": beside}, console)
    if "rows" in quality.missing:
        console.print(f"[yellow]{escape(quality.missing['rows'])}[/]")
    _print_labels(quality, console)
    _print_lengths(quality, console)
    _print_diversity(quality, console)
    _print_neighbours(quality, console)
    if quality.overlap is not None:
        _print_overlap(quality, console)
    _print_partial_reading(quality, console)
    _print_agreement(quality, console)
    _print_described(quality, console)
    _print_examples(quality, console)


def print_kept(folder: Path, console: Console) -> None:
    """Where the whole report lies."""
    console.print(f"\nall figures: {folder / 'quality.json'}", soft_wrap=True, markup=False)


def _print_labels(quality: Quality, console: Console) -> None:
    by_weight = any(abs(figures["weighted_share"] - figures["share"]) > 0.0005 for figures in quality.labels.values())
    headings = ["rows", "share", *(["by weight"] if by_weight else []), *(["gold"] if quality.gold else []), "accepted"]
    print_title(console, "labels")
    table = plain_table(["label", *headings, "rejected"], right=headings)
    for name, figures in quality.labels.items():
        replies = figures["rows"] + figures["rejected"]
        reasons = ", ".join(f"{reason} {counts[name]}" for reason, counts in quality.rejects.items() if counts.get(name))
        cells = [str(figures["rows"]), _share(figures["share"])]
        cells += [_share(figures["weighted_share"])] if by_weight else []
        cells += [_share(figures["gold_share"])] if quality.gold else []
        table.add_row(name, *cells, f"{_share(figures['accepted_share'])} of {replies}", escape(reasons or "none"))
    console.print(table)
    unlabelled = {reason: num for reason, counts in quality.rejects.items() if (num := sum(counts.values()) - _of_labels(quality, counts))}
    if unlabelled:
        console.print(f"  rejected without a label: {_listed(unlabelled, '{}')}", markup=False)
    for rule, counts in quality.reading.items():
        console.print(f"  taken off, {rule}: {by_label(counts, '{}')}", markup=False)
    if quality.prior is not None:
        console.print(f"  rows are weighted to the label frequencies {by_label(quality.prior, '{:.3f}')}", markup=False)
    for label, counts in quality.changes.items():
        if counts:
            console.print(f"  judged: {label}: {_listed(counts, '{}')}", markup=False)


def _of_labels(quality: Quality, counts: Mapping[str, int]) -> int:
    return sum(counts.get(name, 0) for name in quality.labels)


def _print_lengths(quality: Quality, console: Console) -> None:
    headings = ["n", "mean", "sd", "5%", "50%", "95%", "longest", "KS"]
    print_title(console, "length in characters", "KS: Kolmogorov-Smirnov distance from gold, 0 (alike) to 1")
    table = plain_table(["text", "", *headings], right=headings)
    for field, figures in quality.length.items():
        table.add_row(escape(field), "synthetic", *_summary_cells(figures["synthetic"]), _number(figures["ks_distance"]))
        if figures["gold"]:
            table.add_row("", "gold", *_summary_cells(figures["gold"]), "")
    console.print(table)
    for field, figures in quality.length.items():
        means = {name: value for name, value in figures["mean_by_label"].items() if value is not None}
        console.print(f"  {field}, mean by label: {by_label(means, '{:.1f}')}", markup=False)


def _summary_cells(summary: Mapping[str, Any] | None) -> list[str]:
    if summary is None:
        return ["0", *[NOTHING] * 6]
    quantiles = summary["quantiles"]
    shown = [summary["mean"], summary["sd"], *(quantiles[share] for share in ("0.05", "0.5", "0.95", "1"))]
    return [str(summary["n"]), *(f"{value:.1f}" for value in shown)]


def _print_diversity(quality: Quality, console: Console) -> None:
    tokenizers = ", ".join({figures["tokenizer"] for figures in quality.diversity.values()})
    print_title(console, "diversity", f"of the different texts, in tokens of {tokenizers}; beside gold at one size; samples by seed {SEED}")
    headings = ["tokens", "types", "TTR/1000", "distinct-1", "-2", "-3", "Self-BLEU-4"]
    table = plain_table(["", *headings], right=headings)
    for field, figures in quality.diversity.items():
        sides = figures["equal_size"] or {"synthetic": figures["own"]}
        table.add_row(escape(field))
        if sides["synthetic"] != figures["own"]:
            table.add_row("  all", *_vocabulary_cells(figures["own"]))
        for name, measured in sides.items():
            table.add_row(f"  {name}", *_vocabulary_cells(measured))
    console.print(table)
    repeated = {field: figures["texts"] - figures["different_texts"] for field, figures in quality.diversity.items()}
    if any(repeated.values()):
        repeats = ", ".join(f"{field} {num} of {quality.diversity[field]['texts']}" for field, num in repeated.items() if num)
        console.print(f"  texts that repeat another one, left out: {repeats}", markup=False)


def _vocabulary_cells(measured: Mapping[str, Any]) -> list[str]:
    ratios = [_number(measured[name]) for name in ("segment_ttr", "distinct_1", "distinct_2", "distinct_3")]
    bleu = f"{_number(measured['self_bleu_4'])} (n={measured['self_bleu_texts']})"
    return [str(measured["tokens"]), str(measured["types"]), *ratios, bleu]


def _print_neighbours(quality: Quality, console: Console) -> None:
    found = quality.neighbours
    if found is None:
        return
    shares = [f"≥ {threshold:g}" for threshold in THRESHOLDS]
    headings = ["n", "mean", "50%", "95%", "highest", *shares]
    about = f"of {found['gold_rows']}, by cosine of character 2- and 3-grams; samples by seed {found['seed']}"
    print_title(console, "closest other gold row", about)
    table = plain_table(["of a", *headings], right=headings)
    for name, figures in (("synthetic row", found), ("gold row", found["gold_to_gold"])):
        if figures is not None:
            quantiles = figures["cosine"]["quantiles"]
            cosines = [figures["cosine"]["mean"], *(quantiles[share] for share in ("0.5", "0.95", "1"))]
            table.add_row(name, str(figures["cosine"]["n"]), *map(_number, cosines), *map(_share, figures["share_from"].values()))
    console.print(table)
    closest = ", ".join(f"{figures['id']} to gold {figures['gold_id']} {figures['cosine']:.2f}" for figures in found["closest"])
    console.print(f"  closest: {closest}", markup=False)


def _print_overlap(quality: Quality, console: Console) -> None:
    assert quality.overlap is not None
    headings = ["n", "mean", "5%", "95%"]
    print_title(console, "overlap of a pair's characters", "Jaccard similarity")
    table = plain_table(["label", "", *headings], right=headings)
    for name, summary in quality.overlap["synthetic"].items():
        table.add_row(name, "synthetic", *_overlap_cells(summary))
        if quality.overlap["gold"]:
            table.add_row("", "gold", *_overlap_cells(quality.overlap["gold"][name]))
    console.print(table)


def _print_partial_reading(quality: Quality, console: Console) -> None:
    probed = {name: figures for name, figures in quality.partial_reading.items() if figures is not None}
    if not probed:
        print_title(console, "label from one part alone", "not done: too few different texts to hold any out, or one label only")
        return
    first = next(iter(probed.values()))
    parts = list(first["parts"])
    about = f"{first['metric']} of models that read this part alone, on rows held out, {first['folds']} folds, seed {first['seed']}"
    print_title(console, "label from one part alone", f"{about}; above the majority: the part gives the label away")
    table = plain_table(["", "n", *parts, "majority"], right=["n", *parts, "majority"])
    for name, figures in probed.items():
        table.add_row(name, str(figures["n"]), *(_number(figures["parts"][part]) for part in parts), _number(figures["majority"]))
    console.print(table)


def _overlap_cells(summary: Mapping[str, Any] | None) -> list[str]:
    if summary is None:
        return ["0", NOTHING, NOTHING, NOTHING]
    quantiles = summary["quantiles"]
    return [str(summary["n"]), _number(summary["mean"]), _number(quantiles["0.05"]), _number(quantiles["0.95"])]


def _print_agreement(quality: Quality, console: Console) -> None:
    found = quality.agreement
    if found is None:
        print_title(console, "labels held against a gold-trained student", f"not done: {quality.missing['agreement']}")
        return
    student = found["student"]
    score = "" if student["score"] is None else f", its own {student['metric']} on gold {student['score']['value']:.3f}"
    metrics = _listed({name: value for name, value in found["metrics"].items() if value is not None}, "{:.3f}")
    about = f"{student['encoder']}, {student['num_train']} rows of {student['trained_on']}{score}"
    print_title(console, "labels held against a gold-trained student", f"{metrics} (n={found['n']}, seed {found['seed']})")
    print_facts({"student": about + (" (demo)" if student["demo"] else ""), "model": student["model"]}, console)
    is_long = len(found["by_label"]) > MANY_LABELS
    predicts = "mean_prediction" in next(iter(found["by_label"].values()))
    table = plain_table(["  label", "n", "mean prediction" if predicts else "agreement", *([] if predicts else ["predicted"])], right=["n"])
    for name, figures in found["by_label"].items():
        if predicts:
            table.add_row(f"  {name}", str(figures["n"]), _number(figures["mean_prediction"]))
        else:
            table.add_row(f"  {name}", str(figures["n"]), _share(figures["agreement"]), escape(_predicted(figures["predicted"], is_long)))
    console.print(table)


def _print_described(quality: Quality, console: Console) -> None:
    found = quality.described
    if found is None:
        if "described" in quality.missing:
            print_title(console, "labels held against their descriptions", f"not done: {quality.missing['described']}")
        return
    agreement = {name: LabelAgreement(**counts) for name, counts in found["by_label"].items()}
    demo = " (demo: means nothing)" if found["demo"] else ""
    about = f"share of texts whose nearest label description is their label's, by {found['encoder']} without training{demo}"
    print_title(console, "labels held against their descriptions", about)
    print_label_agreement(agreement, console)


def print_label_agreement(agreement: Mapping[str, LabelAgreement], console: Console) -> None:
    """A row a label, of many labels the lowest ones, and a line that names the weakest label with what may help."""
    ordered = sorted(agreement, key=lambda name: -1 if (share := agreement[name].share) is None else share)
    is_long = len(ordered) > MANY_LABELS
    table = plain_table(["  label", "n", "agreement"], right=["n", "agreement"])
    for name in ordered[:NUM_LOWEST] if is_long else agreement:
        table.add_row(f"  {escape(name)}", str(agreement[name].n), _share(agreement[name].share))
    console.print(table)
    if is_long:
        console.print(f"  the {NUM_LOWEST} lowest of {len(ordered)} labels", markup=False)
    lowest = weakest(agreement)
    if lowest is not None:
        name, found = lowest
        cure = "read some of its texts; curate.judging=drop has an LLM judge every text and drops what it labels otherwise"
        console.print(f"  weakest: {name}, {found.agreeing} of {found.n} texts agree; {cure}", markup=False, soft_wrap=True)


def _predicted(counts: Mapping[str, int], is_long: bool) -> str:
    """How often each label was predicted; of many labels the most frequent one, and how many others were."""
    if not is_long or len(counts) < 3:
        return _listed(counts, "{}")
    first = max(counts, key=lambda name: counts[name])
    return f"{first} {counts[first]}, {len(counts) - 1} others"


def _print_examples(quality: Quality, console: Console) -> None:
    left_out = f"; {quality.missing['examples']}" if "examples" in quality.missing else ""
    is_long = len(quality.examples) > MANY_LABELS
    left_out += "; one a label, more in quality.json" if is_long else ""
    print_title(console, "texts", f"drawn by seed {SEED}{left_out}")
    is_above = max(map(len, quality.examples), default=0) > WIDE_LABEL
    table = _examples_table(0 if is_above else 14)
    for name, examples in quality.examples.items():
        if is_above:  # else a long name leaves the texts half of a narrow terminal
            table.add_row("", f"[cyan]{escape(name)}[/]")
        for position, example in enumerate(examples[:1] if is_long else examples):
            table.add_row(name if position == 0 and not is_above else "", _joined(example["texts"]))
    console.print(table)
    if quality.rejected_examples:
        print_title(console, "rejected replies", "as they were")
    for reason, replies in quality.rejected_examples.items():
        meaning = f": {REASONS[reason]}" if reason in REASONS else ""
        console.print(f"  [cyan]{escape(reason)}[/]{escape(meaning)}")
        table = _examples_table()
        for reply in replies:
            table.add_row(f"  {reply['label'] or NOTHING}", escape(reply["text"] or "(nothing)"))
        console.print(table)
    hidden = [reason for reason in QUOTES_GOLD if reason in quality.rejects]
    if hidden:
        console.print(f"  not shown, since they may hold gold texts: {', '.join(hidden)}")


def _joined(texts: Sequence[str]) -> str:
    return escape("\n".join(f"{number}: {text}" for number, text in enumerate(texts, 1)) if len(texts) > 1 else texts[0])


def _examples_table(first_width: int = 14) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2), pad_edge=False)
    table.add_column(style="cyan", no_wrap=True, min_width=first_width)
    table.add_column(overflow="fold")
    return table


def print_title(console: Console, title: str, about: str = "") -> None:
    """A heading, and beside it what the figures below are of."""
    console.print(f"\n[bold]{escape(title)}[/]" + (f"  [dim]{escape(about)}[/]" if about else ""), soft_wrap=True)


def plain_table(headings: Sequence[str], right: Sequence[str]) -> Table:
    """An empty table; `right`: headings of the columns whose numbers stand to the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", no_wrap=heading in right, overflow="fold")
    return table


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.1f}%"


def by_label(values: Mapping[str, Any], form: str) -> str:
    """'positive 12.0, negative 9.5'; of many labels the lowest and the highest ones, and how many there are."""
    if len(values) <= MANY_LABELS:
        return _listed(values, form)
    ordered = sorted(values, key=lambda name: (values[name], name))
    lowest, highest = ({name: values[name] for name in names} for names in (ordered[:NUM_ENDS], ordered[-NUM_ENDS:]))
    return f"lowest {_listed(lowest, form)}; highest {_listed(highest, form)} (of {len(values)})"


def _listed(values: Mapping[str, Any], form: str) -> str:
    return ", ".join(f"{name} {form.format(value)}" for name, value in values.items())
