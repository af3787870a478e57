"""How often the test calls equal methods different, how often it finds a difference, and whether intervals hold the truth.

    python benchmarks/significance.py [--seed 0] [--draws 1000] [--rows 1000] [--resamples 200]

Predictions of methods are simulated and go through the functions that reports use: `resample` and `compare` of
japagen/evaluation/significance.py, `evaluate` of metrics.py. A run is right in a row where the sum of normal terms is above 0: the row's
difficulty, the method's and the run's own view of the row, and how good the run's data draw and its seed are. Accuracy is 0.80, so 1,000
rows give a run a standard error of 1.3 points. Draws and seeds move a run by the standard deviations named, in points.

`type I`: of comparisons of equal methods the share with p < 0.05; `tested` is the share that has a p at all (one draw a side has none).
Beside it what other rules say of the same comparisons: the variance of draws added as it is, with the row noise that is in it (`as it is`),
and gold rows alone (`rows alone`). `power`: of comparisons of methods whose difference a test that knows the variance finds in 87%.
`coverage`: the share of 95% intervals that hold the true accuracy, with rows in clusters as large as JNLI's (2 or 3 rows a picture),
drawn as clusters and as rows. Writes benchmarks/results/significance.json.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from measuring import machine, write_result
from scipy.stats import norm, t

from japagen.evaluation.metrics import evaluate
from japagen.evaluation.significance import Difference, Resampled, RunPredictions, compare, resample
from japagen.tasks import Example, Label, Task

TASK = Task(name="simulated", system="", metric="accuracy", labels=[Label("right", ""), Label("wrong", "")])
ACCURACY = 0.80
DIFFICULTY, METHOD, RUN = 1.0, 0.4, 0.7
"""Standard deviations of a row's terms: shared by all runs, by a method's runs, and a run's own."""
TOTAL = float(np.hypot(np.hypot(DIFFICULTY, METHOD), RUN))
MEAN = TOTAL * float(norm.ppf(ACCURACY))
POINT = 0.01 * TOTAL / float(norm.pdf(MEAN / TOTAL))
"""What must be added to every row's sum for one point of accuracy more."""
LEVEL = 0.05
WITHIN_CLUSTER = 0.5
"""Share of a row term's variance that its cluster's rows have in common."""
KNOWN_POWER = 0.87


@dataclass(frozen=True)
class Side:
    """How often a method is run, and how far its runs lie apart."""

    num_draws: int
    num_seeds: int = 1
    """Runs on each draw."""
    draw_points: float = 0.0
    """Standard deviation of a draw's accuracy, in points."""
    seed_points: float = 0.0
    """Standard deviation of a run's accuracy on its draw, in points."""


@dataclass(frozen=True)
class Case:
    first: Side
    second: Side
    is_clustered: bool = False


def both(side: Side) -> Case:
    return Case(side, side)


CASES = {
    **{f"one run each, seeds {points} points": both(Side(1, 1, 0, points)) for points in (1.0, 2.0)},
    **{f"three runs against one, seeds {points} points": Case(Side(3, 1, 0, points), Side(1, 1, 0, points)) for points in (1.0, 2.0)},
    **{f"three seeds on one draw, draws {points} points": both(Side(1, 3, points, 0.5)) for points in (1.0, 2.0)},
    **{f"three draws, {points} points": both(Side(3, 1, points, 0.5)) for points in (0.5, 1.0, 2.0)},
    "three draws, row noise only": both(Side(3)),
    "three draws of three seeds, 1 point": both(Side(3, 3, 1.0, 1.0)),
    "five draws, 1 point": both(Side(5, 1, 1.0, 0.5)),
    "three draws of 2 points, three of none": Case(Side(3, 1, 2.0, 0.5), Side(3)),
    "two draws, 1 point": both(Side(2, 1, 1.0, 0.5)),
    "three draws, 1 point, rows in clusters": replace(both(Side(3, 1, 1.0, 0.5)), is_clustered=True),
}


def main() -> None:
    """Simulates every case and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=1000, help="simulated comparisons of each case")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=200)
    args = parser.parse_args()
    settings = {name: getattr(args, name) for name in ("seed", "draws", "rows", "resamples")}
    type_1 = {name: type_1_error(case, args) for name, case in CASES.items()}
    power = {f"{num} draws, row noise only": power_of(both(Side(num)), args) for num in (3, 5)}
    report = {"machine": machine("numpy", "scipy"), "settings": settings, "type I": type_1, "power": power, "coverage": coverage(args)}
    write_result("significance", report)


def type_1_error(case: Case, args: argparse.Namespace) -> dict[str, float]:
    """Shares of comparisons of equal methods that each rule calls different."""
    found = [rules(*pair) for pair in simulate(case, args)]
    tested = [rule for rule in found if rule["p"] is not None]
    named = {"type I": "p"} if tested else {}
    named |= {"type I as it is": "as it is"} if tested else {}
    return {"tested": len(tested) / len(found)} | {
        name: share([rule[key] for rule in found]) for name, key in (named | {"type I of rows alone": "rows alone"}).items()
    }


def power_of(case: Case, args: argparse.Namespace) -> dict[str, float]:
    """Shares of comparisons in which each rule finds the difference that a test with the true variance finds in 87%."""
    equal = [float(first.values.mean() - second.values.mean()) for first, second in simulate(case, args)]
    points = 100 * float(np.std(equal, ddof=1)) * float(norm.ppf(1 - LEVEL / 2) + norm.ppf(KNOWN_POWER))
    found = [rules(*pair) for pair in simulate(case, args, points)]
    return {"points": round(points, 2)} | {
        name: share([rule[key] for rule in found]) for name, key in (("power", "p"), ("power as it is", "as it is"))
    }


def rules(first: Resampled, second: Resampled) -> dict[str, float | None]:
    """p-values of one comparison by our test, and by two simpler ones."""
    found = compare(first, second)
    assert found is not None
    rows = float((first.resampled.mean(axis=1) - second.resampled.mean(axis=1)).var(ddof=1))
    alone = float(2 * norm.sf(abs(found.value) / np.sqrt(rows)))
    return {"p": found.p, "as it is": as_it_is(found, rows, first, second), "rows alone": alone}


def as_it_is(found: Difference, rows: float, first: Resampled, second: Resampled) -> float | None:
    """p where the sample variance of the draws' scores is added to that of the rows, with the row noise that it holds."""
    if found.p is None:
        return None
    parts = [(float(method.values.var(ddof=1)) / method.num_draws, method.num_draws - 1) for method in (first, second)]
    total = rows + sum(variance for variance, _ in parts)
    spread = sum((variance / total) ** 2 / degrees for variance, degrees in parts)
    return float(2 * t.sf(abs(found.value) / np.sqrt(total), 1 / spread if spread else np.inf))


def share(p_values: list[float | None]) -> float:
    """Of all comparisons, those that are called different."""
    return round(float(np.mean([p is not None and p < LEVEL for p in p_values])), 4)


def simulate(case: Case, args: argparse.Namespace, points: float = 0.0) -> Iterator[tuple[Resampled, Resampled]]:
    """Pairs of methods; the first is better by `points`."""
    rng = np.random.default_rng([args.seed, *case_numbers(case), round(100 * points)])
    clusters = cluster_numbers(args.rows) if case.is_clustered else None
    for _ in range(args.draws):
        difficulty = row_terms(rng, DIFFICULTY, args.rows, clusters)
        yield (
            method(rng, case.first, difficulty, clusters, points, args.resamples),
            method(rng, case.second, difficulty, clusters, 0.0, args.resamples),
        )


def case_numbers(case: Case) -> list[int]:
    """The case as seeds of its own."""
    numbers = [number for side in (case.first, case.second) for number in vars(side).values()]
    return [round(100 * number) for number in numbers] + [int(case.is_clustered)]


def method(
    rng: np.random.Generator, side: Side, difficulty: np.ndarray, clusters: np.ndarray | None, points: float, num_resamples: int
) -> Resampled:
    """A method's runs on rows of this difficulty."""
    num_rows = len(difficulty)
    own = MEAN + difficulty + row_terms(rng, METHOD, num_rows, clusters) + points * POINT
    names = tuple(map(str, clusters)) if clusters is not None else ()
    gold, ids, runs, draws = ("right",) * num_rows, ("",) * num_rows, [], []
    for draw in range(side.num_draws):
        of_draw = rng.normal(0, side.draw_points) * POINT
        for _ in range(side.num_seeds):
            sums = own + of_draw + rng.normal(0, side.seed_points) * POINT + row_terms(rng, RUN, num_rows, clusters)
            runs.append(RunPredictions(ids, gold, np.where(sums > 0, "right", "wrong").tolist(), names))
            draws.append(draw)
    return resample(TASK, runs, draws, num_resamples)


def row_terms(rng: np.random.Generator, deviation: float, num_rows: int, clusters: np.ndarray | None) -> np.ndarray:
    """(N,) normal terms; rows of one cluster have half of their variance in common."""
    if clusters is None:
        return rng.normal(0, deviation, size=num_rows)
    common = rng.normal(0, deviation, size=int(clusters.max()) + 1)[clusters]
    return np.sqrt(WITHIN_CLUSTER) * common + np.sqrt(1 - WITHIN_CLUSTER) * rng.normal(0, deviation, size=num_rows)


def cluster_numbers(num_rows: int) -> np.ndarray:
    """(N,) clusters of 2, 2, 2 and 3 rows in turn: 2.25 a cluster, as in JNLI's valid split (2,434 rows of 1,089 pictures)."""
    sizes = np.resize([2, 2, 2, 3], num_rows)
    return np.repeat(np.arange(num_rows), sizes)[:num_rows]


def coverage(args: argparse.Namespace) -> dict[str, float]:
    """Shares of a single run's 95% intervals that hold the true accuracy, rows being in clusters."""
    rng, clusters, held = np.random.default_rng([args.seed, 1]), cluster_numbers(args.rows), {"clusters": 0, "rows": 0}
    widths: dict[str, list[float]] = {"clusters": [], "rows": []}
    for number in range(args.draws):
        sums = MEAN + sum(row_terms(rng, deviation, args.rows, clusters) for deviation in (DIFFICULTY, METHOD, RUN))
        guesses: list[str] = np.where(sums > 0, "right", "wrong").tolist()
        for name in held:
            gold = [Example((), "right", cluster=str(cluster) if name == "clusters" else "") for cluster in clusters]
            found: Any = evaluate(TASK, gold, guesses, seed=number, num_resamples=args.resamples)["accuracy"]
            held[name] += found["low"] <= ACCURACY <= found["high"]
            widths[name].append(found["high"] - found["low"])
    shares = {f"drawn as {name}": round(number / args.draws, 4) for name, number in held.items()}
    return shares | {"width of rows' over clusters'": round(float(np.mean(widths["rows"]) / np.mean(widths["clusters"])), 3)}


if __name__ == "__main__":
    main()
