"""The intervals of label noise hold what they are of about as often as they say: the benchmark with fewer draws."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from label_noise import CASES, MEASURES, coverage


def test_intervals_of_simulated_people_cover() -> None:
    found = coverage(CASES["3 labels, n=200"], num_draws=150, seed=1)
    assert set(found) == set(MEASURES)
    for measure, share in found.items():
        assert 0.9 <= share <= 0.99, (measure, share)
