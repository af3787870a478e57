"""label_noise.json: what people said of a data set's labels, kept in the store beside the data set.

It lies in STORE/labels/KEY and not in the data set's folder, whose files have checksums and whose key people's labels don't enter. Labels
that people wrote can't be made again, so `japagen gc` leaves them, also where the data set goes: made again, it has the same rows.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from japagen.errors import StoreError
from japagen.evaluation.label_noise import Estimate
from japagen.store.files import explain_os_errors, read_json, write_whole_json
from japagen.store.store import Store

FILE = "label_noise.json"
UNCLEAR = "unclear"
"""A person's answer that isn't a label."""


@dataclass(frozen=True)
class SheetNoise:
    """One person's sheet against the data set's labels."""

    sheet: str
    """The file's name."""
    num_labelled: int
    num_unclear: int
    num_unlabelled: int
    """Rows still without an answer."""
    noise: Estimate | None
    """Share of the data set's rows to which the person gives another label; None where no row has a label."""
    covered: float
    """Share of the data set's rows whose label has labelled rows in the sheet: `noise` is of those."""
    by_label: dict[str, Estimate]
    """Label of the data set -> noise; labels without labelled rows are absent."""
    confusion: dict[str, dict[str, int]]
    """Label of the data set -> the person's label, or UNCLEAR -> rows."""
    kappa: Estimate | None
    """Cohen's, with the data set."""


@dataclass(frozen=True)
class Agreement:
    """Two sheets, on the rows that both label."""

    disagreement: Estimate
    """Share of the data set's rows to which they give different labels."""
    kappa: Estimate | None
    """Cohen's; None where both give one label to all rows."""
    confusion: dict[str, dict[str, int]]
    """The first person's label -> the second's -> rows."""


@dataclass(frozen=True)
class LabelNoise:
    """label_noise.json."""

    dataset: str
    """Its key."""
    created: str
    sheets: list[SheetNoise]
    agreement: Agreement | None
    """None for one sheet, and for two that label no row in common."""
    answers: dict[str, list[str | None]]
    """Row's id -> each sheet's answer: a label, UNCLEAR, '' for none yet; None where the sheet lacks the row."""


def noise_path(store: Store, dataset: str) -> Path:
    """Where the data set's file lies, whether it exists or not."""
    return store.labels(dataset) / FILE


def write_noise(store: Store, found: LabelNoise) -> Path:
    """The file's path, once it is written, whole, in place of an older one."""
    path = noise_path(store, found.dataset)
    with explain_os_errors(path):
        write_whole_json(path, asdict(found))
    return path


def read_noise(store: Store, dataset: str) -> LabelNoise | None:
    """What people said of the data set; None where nobody was asked. StoreError for a file that can't be read."""
    path = noise_path(store, dataset)
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        sheets = [_sheet_noise(sheet) for sheet in content["sheets"]]
        both = content["agreement"]
        agreement = None if both is None else Agreement(**{**both, **_estimates(both, "disagreement", "kappa")})
        return LabelNoise(**{**content, "sheets": sheets, "agreement": agreement})
    except (AttributeError, KeyError, TypeError) as error:
        raise StoreError(f"{path} can't be read ({error!r}); move it away, and measure again: japagen label-noise DATASET SHEET") from error


def _estimates(content: Mapping[str, Any], *names: str) -> dict[str, Estimate | None]:
    return {name: None if content[name] is None else Estimate(**content[name]) for name in names}


def _sheet_noise(content: Mapping[str, Any]) -> SheetNoise:
    by_label = {label: Estimate(**found) for label, found in content["by_label"].items()}
    return SheetNoise(**{**content, **_estimates(content, "noise", "kappa"), "by_label": by_label})
