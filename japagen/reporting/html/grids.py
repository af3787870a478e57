"""A data set's quality report and its label noise as plain tables: cells are strings, the first column names the row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from japagen.curation.label_noise import UNCLEAR, LabelNoise, SheetNoise
from japagen.evaluation.label_noise import Estimate

NOTHING = "–"


@dataclass(frozen=True)
class Grid:
    """One table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    about: str = ""


def number(value: float | None, digits: int = 3) -> str:
    """'0.712'; a dash for nothing."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def share(value: float | None) -> str:
    """'51.2%'."""
    return NOTHING if value is None else f"{100 * value:.1f}%"


def quality_grids(quality: Mapping[str, Any]) -> list[Grid]:
    """quality.json's parts that were measured, without any of its texts."""
    found = [_labels(quality), _lengths(quality), _diversity(quality), _neighbours(quality["neighbours"]), _overlap(quality["overlap"])]
    found += [_partial_reading(quality["partial_reading"]), _agreement(quality["agreement"]), _described(quality["described"])]
    found.insert(1, reading_grid(quality["reading"]))
    return [grid for grid in found if grid is not None and grid.rows]


def _labels(quality: Mapping[str, Any]) -> Grid:
    rows = []
    for name, figures in quality["labels"].items():
        reasons = ", ".join(f"{reason} {counts[name]}" for reason, counts in quality["rejects"].items() if counts.get(name))
        shares = (share(figures["share"]), share(figures["weighted_share"]), share(figures["gold_share"]), share(figures["accepted_share"]))
        rows.append((name, str(figures["rows"]), *shares, reasons or "none"))
    return Grid("Labels", ("label", "rows", "share", "by weight", "gold", "accepted", "rejected"), tuple(rows))


def reading_grid(reading: Mapping[str, Mapping[str, int]]) -> Grid:
    """rule -> label -> rows of which it changed a text."""
    rows = [
        (rule, str(sum(counts.values())), ", ".join(f"{label} {num}" for label, num in sorted(counts.items(), key=lambda item: -item[1])))
        for rule, counts in reading.items()
    ]
    return Grid("Taken off replies that became texts", ("rule", "rows", "by label"), tuple(rows))


def counted_labels(labels: Sequence[str], num_rows: Mapping[str, int], rejects: Mapping[str, Mapping[str, int]]) -> Grid:
    """Counts from a data set's own meta.json, for data sets without a quality report."""
    rows = []
    for name in [*labels, *(label for label in rejects if label not in labels)]:
        reasons, num = rejects.get(name, {}), num_rows.get(name, 0)
        replies = num + sum(reasons.values())
        accepted = share(num / replies if replies else None)
        listed = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items(), key=lambda item: -item[1]))
        rows.append((name or "none", str(num), accepted, listed or "none"))
    return Grid("Labels", ("label", "rows", "accepted", "rejected"), tuple(rows))


def _lengths(quality: Mapping[str, Any]) -> Grid:
    rows = []
    for name, figures in quality["length"].items():
        for side in ("synthetic", "gold"):
            if figures[side]:
                distance = number(figures["ks_distance"]) if side == "synthetic" else ""
                rows.append((f"{name}, {side}", *_summary(figures[side], 1), distance))
    columns = ("text", "n", "mean", "5%", "50%", "95%", "longest", "KS")
    return Grid("Length in characters", columns, tuple(rows), "KS: Kolmogorov-Smirnov distance from gold, 0 (alike) to 1.")


def _summary(summary: Mapping[str, Any] | None, digits: int) -> tuple[str, ...]:
    """n, mean, 5%, 50%, 95%, highest."""
    if summary is None:
        return ("0", *[NOTHING] * 5)
    quantiles = [summary["quantiles"][quantile] for quantile in ("0.05", "0.5", "0.95", "1")]
    return (str(summary["n"]), *(number(value, digits) for value in (summary["mean"], *quantiles)))


def _diversity(quality: Mapping[str, Any]) -> Grid:
    rows, names = [], ("segment_ttr", "distinct_1", "distinct_2", "distinct_3", "self_bleu_4")
    for field, figures in quality["diversity"].items():
        sides = figures["equal_size"] or {"synthetic": figures["own"]}
        for side, measured in {"all": figures["own"], **sides}.items():
            if side != "all" or measured != sides["synthetic"]:
                sizes = (str(measured["tokens"]), str(measured["types"]))
                rows.append((f"{field}, {side}", *sizes, *(number(measured[name]) for name in names)))
    columns = ("text", "tokens", "types", "TTR/1000", "distinct-1", "distinct-2", "distinct-3", "Self-BLEU-4")
    return Grid("Diversity", columns, tuple(rows), "Beside gold at one size. Self-BLEU: lower is more diverse.")


def _neighbours(found: Mapping[str, Any] | None) -> Grid | None:
    if found is None:
        return None
    sides = [("a synthetic row", found), *([("a gold row", found["gold_to_gold"])] if found["gold_to_gold"] else [])]
    rows = [(name, *_summary(figures["cosine"], 3), *(share(value) for value in figures["share_from"].values())) for name, figures in sides]
    columns = ("of", "n", "mean", "5%", "50%", "95%", "highest", *(f"≥ {threshold}" for threshold in found["share_from"]))
    return Grid("Closest other gold row", columns, tuple(rows), "By cosine of character 2- and 3-grams.")


def _overlap(found: Mapping[str, Any] | None) -> Grid | None:
    if found is None:
        return None
    rows = []
    for name, summary in found["synthetic"].items():
        rows.append((f"{name}, synthetic", *_summary(summary, 3)))
        if found["gold"]:
            rows.append((f"{name}, gold", *_summary(found["gold"][name], 3)))
    return Grid("Overlap of a pair's characters", ("label", "n", "mean", "5%", "50%", "95%", "highest"), tuple(rows), "Jaccard similarity.")


def _partial_reading(found: Mapping[str, Any]) -> Grid | None:
    probed = {name: figures for name, figures in found.items() if figures is not None}
    if not probed:
        return None
    parts = list(next(iter(probed.values()))["parts"])
    scores = {name: [*(figures["parts"][part] for part in parts), figures["majority"]] for name, figures in probed.items()}
    rows = [(name, str(probed[name]["n"]), *map(number, values)) for name, values in scores.items()]
    about = "Of models that read this part alone, on rows held out; above the majority, the part gives the label away."
    return Grid("Label from one part alone", ("rows", "n", *parts, "majority"), tuple(rows), about)


def _agreement(found: Mapping[str, Any] | None) -> Grid | None:
    if found is None:
        return None
    student, rows = found["student"], []
    for name, figures in found["by_label"].items():
        is_number = "mean_prediction" in figures
        rows.append((name, str(figures["n"]), number(figures["mean_prediction"]) if is_number else share(figures["agreement"])))
    about = f"{student['encoder']}, {student['num_train']} gold rows; n={found['n']}{'; demo' if student['demo'] else ''}."
    return Grid("Labels held against a gold-trained student", ("label", "n", "prediction or agreement"), tuple(rows), about)


def label_noise_grids(found: LabelNoise) -> list[Grid]:
    """What people said of the data set's labels: a table a sheet, and for two how well they agree; no texts."""
    grids = [_sheet_noise(sheet) for sheet in found.sheets]
    if found.agreement is not None:
        cells = (str(found.agreement.disagreement.num), *_with_interval(found.agreement.disagreement, share))
        kappa = found.agreement.kappa
        row = (
            " and ".join(sheet.sheet for sheet in found.sheets),
            *cells,
            *(_with_interval(kappa, number) if kappa else (NOTHING, NOTHING)),
        )
        columns = ("sheets", "rows", "different labels", "95% interval", "Cohen's kappa", "95% interval")
        grids.append(Grid("Two people", columns, (row,), "Of the rows that both label."))
    return grids


def _sheet_noise(sheet: SheetNoise) -> Grid:
    rows = []
    for label, counts in sheet.confusion.items():
        estimate = sheet.by_label.get(label)
        others = ", ".join(f"{name} {num}" for name, num in counts.items() if name not in (label, UNCLEAR))
        cells = (NOTHING, NOTHING) if estimate is None else _with_interval(estimate, share)
        rows.append((label, str(estimate.num if estimate else 0), *cells, str(counts.get(UNCLEAR, 0)), others or NOTHING))
    if sheet.noise is not None:
        rows.append(("all", str(sheet.noise.num), *_with_interval(sheet.noise, share), str(sheet.num_unclear), ""))
    about = f"{sheet.sheet}: {sheet.num_labelled} labelled, {sheet.num_unclear} unclear, {sheet.num_unlabelled} empty."
    if sheet.kappa is not None:
        about += " Cohen's kappa with the data set {} ({}).".format(*_with_interval(sheet.kappa, number))
    return Grid("Label noise by people", ("label", "rows", "noise", "95% interval", "unclear", "labelled as"), tuple(rows), about)


def _with_interval(estimate: Estimate, form: Callable[[float], str]) -> tuple[str, str]:
    return form(estimate.value), f"{form(estimate.low)} to {form(estimate.high)}"


def _described(found: Mapping[str, Any] | None) -> Grid | None:
    if found is None:
        return None
    rows = [
        (name, str(counts["n"]), share(counts["agreeing"] / counts["n"] if counts["n"] else None))
        for name, counts in found["by_label"].items()
    ]
    demo = ", demo" if found["demo"] else ""
    about = f"Share of texts whose nearest label description is their label's, by {found['encoder']} without training{demo}."
    return Grid("Labels held against their descriptions", ("label", "n", "agreement"), tuple(rows), about)
