"""How often the intervals of `japagen label-noise` hold what they are of: simulated people with known errors label draws of a data set.

    python benchmarks/label_noise.py [--draws 500] [--seed 0]

Each case is a data set whose rows have a true label, and one of their own that is wrong at a known rate for each label. Two people know the
true label but err at a known rate, evenly over the other labels, call some rows unclear and leave the end of their sheets empty. Every draw
makes data set and people anew, draws rows as `japagen sample-to-label` does, measures them as `japagen label-noise` does, and compares the
95% intervals with what the two people would give if they labelled all rows of the data set. Counted is how often an interval holds that:
of the noise over all rows, of the noise of each label (all labels together), of kappa with the data set and of the two people's kappa.
By 500 draws a coverage of 95% is known to 2%, so that of many figures one or two lie beyond 93 to 97% by chance; by 2,000 to 1%.
`by equal numbers` draws the same number of rows of each label, which is not what the command does. Writes
benchmarks/results/label_noise.json.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from measuring import ROOT, machine, write_result

sys.path.insert(0, str(ROOT))

from japagen.evaluation.label_noise import Estimate
from japagen.quality import label_sheets
from japagen.quality.label_sheets import Sheet, draw_rows, measure_noise
from japagen.tasks import Example, Label, Task

MEASURES = ("noise", "noise by label", "kappa with the data set", "kappa of two people")


@dataclass(frozen=True)
class Case:
    """A data set, two people, and how many rows they get."""

    labels: Mapping[str, tuple[int, float]]
    """Label of the data set -> (its rows, the share of them whose true label is another one)."""
    num: int
    """Rows drawn."""
    errors: tuple[float, float] = (0.03, 0.06)
    """How often each person gives another label than the true one."""
    unclear: float = 0.03
    unlabelled: float = 0.05
    """Share of a sheet, at its end, without answers."""


CASES = {
    "3 labels, n=200": Case({"a": (600, 0.05), "b": (600, 0.1), "c": (600, 0.2)}, 200),
    "3 labels, n=100": Case({"a": (600, 0.05), "b": (600, 0.1), "c": (600, 0.2)}, 100),
    "2 labels, little noise, n=200": Case({"a": (2000, 0.01), "b": (2000, 0.03)}, 200, (0.01, 0.02)),
    "2 labels, much noise, n=200": Case({"a": (1000, 0.4), "b": (1000, 0.3)}, 200),
    "2 labels, 9 to 1, n=200": Case({"a": (2700, 0.01), "b": (300, 0.3)}, 200),
    "9 labels, n=200": Case({f"l{number}": (300, 0.02 + 0.03 * number) for number in range(9)}, 200),
    "77 labels, n=400": Case({f"l{number:02}": (50, 0.1) for number in range(77)}, 400),
    "half of the data set, n=200": Case({"a": (150, 0.05), "b": (150, 0.1), "c": (100, 0.2)}, 200),
}


def main() -> None:
    """Counts all cases and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, nargs="+", default=[500])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    uneven = {name: case for name, case in CASES.items() if "9 to 1" in name}
    for_comparison = {name: coverage(case, args.draws[-1], args.seed, by_shares=False) for name, case in uneven.items()}
    write_result(
        "label_noise",
        {
            "machine": machine("numpy"),
            "coverage of 95% intervals": {
                f"{num} draws": {name: coverage(case, num, args.seed) for name, case in CASES.items()} for num in args.draws
            },
            "by equal numbers of each label, for comparison": {f"{args.draws[-1]} draws": for_comparison},
        },
    )


def coverage(case: Case, num_draws: int, seed: int, by_shares: bool = True) -> dict[str, float]:
    """Measure -> share of its intervals that hold what they are of."""
    held, counted = Counter[str](), Counter[str]()
    for draw in range(num_draws):
        for measure, is_held in _one_draw(case, np.random.default_rng([seed, draw]), draw, by_shares):
            held[measure] += bool(is_held)
            counted[measure] += 1
    return {measure: round(held[measure] / counted[measure], 3) for measure in MEASURES}


def _one_draw(case: Case, generator: np.random.Generator, seed: int, by_shares: bool) -> list[tuple[str, bool]]:
    """(measure, whether its interval holds) of one draw."""
    names = list(case.labels)
    task = Task(name="simulated", labels=[Label(name, name) for name in names])
    given = np.repeat(np.arange(len(names)), [num for num, _ in case.labels.values()])
    wrong = np.concatenate([generator.random(num) < rate for num, rate in case.labels.values()])
    truth = np.where(wrong, _other(given, len(names), generator), given)
    people = [np.where(generator.random(len(truth)) < error, _other(truth, len(names), generator), truth) for error in case.errors]
    rows = [Example(("text",), names[label], None, str(number)) for number, label in enumerate(given)]
    drawn = draw_rows(rows, case.num, seed) if by_shares else _equal_numbers(rows, case.num, generator)
    sheets = [Sheet("person", _answers(case, drawn, [names[label] for label in labels], generator)) for labels in people]
    found = measure_noise(task, "key", rows, sheets)
    differs = given != people[0]
    holds = [("noise", _holds(found.sheets[0].noise, differs.mean()))]
    for number, name in enumerate(names):
        if name in found.sheets[0].by_label:
            holds.append(("noise by label", _holds(found.sheets[0].by_label[name], differs[given == number].mean())))
    assert found.agreement is not None
    holds.append(("kappa with the data set", _holds(found.sheets[0].kappa, _kappa(given, people[0], len(names)))))
    holds.append(("kappa of two people", _holds(found.agreement.kappa, _kappa(people[0], people[1], len(names)))))
    return holds


def _other(labels: np.ndarray, num: int, generator: np.random.Generator) -> np.ndarray:
    """Another label than each of `labels`, evenly drawn."""
    return (labels + generator.integers(1, num, len(labels))) % num


def _answers(case: Case, drawn: Sequence[Example], labels: Sequence[str], generator: np.random.Generator) -> dict[str, str]:
    last = round(len(drawn) * (1 - case.unlabelled))
    unclear = generator.random(len(drawn)) < case.unclear
    answers = [label_sheets.UNCLEAR if is_unclear else labels[int(row.id)] for row, is_unclear in zip(drawn, unclear, strict=True)]
    return {row.id: answer if number < last else "" for number, (row, answer) in enumerate(zip(drawn, answers, strict=True))}


def _equal_numbers(rows: Sequence[Example], num: int, generator: np.random.Generator) -> list[Example]:
    labels = sorted({row.label for row in rows})
    by_label = [[row for row in rows if row.label == label] for label in labels]
    chosen = [row for own in by_label for row in map(own.__getitem__, generator.permutation(len(own))[: num // len(labels)])]
    return [chosen[position] for position in generator.permutation(len(chosen))]


def _kappa(first: np.ndarray, second: np.ndarray, num: int) -> float:
    """Cohen's kappa of all rows."""
    shares = partial(np.bincount, minlength=num)
    chance = float(shares(first) @ shares(second)) / len(first) ** 2
    return (float((first == second).mean()) - chance) / (1 - chance)


def _holds(estimate: Estimate | None, value: float) -> bool:
    return estimate is not None and estimate.low - 1e-9 <= value <= estimate.high + 1e-9


if __name__ == "__main__":
    main()
