"""A store with sweeps and results, as a report reads them; nothing is trained."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from japagen.config.schema import Config
from japagen.reporting.filters import parse_where
from japagen.reporting.reading import find_sweeps, read_report
from japagen.reporting.report import Report
from japagen.store.files import write_json
from japagen.store.store import Store
from japagen.sweeps.folder import LLM, STUDENT, Planned, SweepFolder, Unit
from tests.conftest import Compose
from tests.stubs.results import RESULT

PLAIN = ("task=jnli", "data=published")
SHOTS = (*PLAIN, "shots=3")


class Sweeps:
    """A store with sweeps of few experiments."""

    def __init__(self, store: Store, composed: Compose) -> None:
        self.store, self.composed = store, composed

    def config(self, overrides: Sequence[str], seed: int) -> Config:
        return replace(self.composed(*overrides), seed=seed)

    def plan(self, name: str, experiments: Sequence[tuple[Sequence[str], int]], created: str = "") -> SweepFolder:
        """A sweep of (overrides, seed); a student and its result's key for each."""
        configs = [self.config(overrides, seed) for overrides, seed in experiments]
        keys = [self.key(overrides, seed) for overrides, seed in experiments]
        planned = [
            Planned(f"{config.task.name}-{config.method.name}-seed{config.seed}", config.task.name, {"dataset": f"d-{key}", "result": key})
            for config, key in zip(configs, keys, strict=True)
        ]
        units = [Unit("llm-0", LLM, "big, 1 stream", tuple(range(len(planned))))]
        units += [
            Unit(f"student-{number:04d}", STUDENT, experiment.name, (number,), ("llm-0",)) for number, experiment in enumerate(planned)
        ]
        folder = SweepFolder.create(self.store, name, configs, planned, units)
        write_json(folder.root / "plan.json", folder.plan() | {"created": created or "2026-01-01T00:00:00+00:00"})
        return folder

    def key(self, overrides: Sequence[str], seed: int) -> str:
        return "-".join([*overrides, str(seed)]).replace("/", "-")

    def score(self, overrides: Sequence[str], seed: int, value: float = 0.5, **fields: Any) -> str:
        """A result of this experiment, with predictions that are right in so many of ten rows."""
        config, key = self.config(overrides, seed), self.key(overrides, seed)
        score = {config.task.metric: {"value": value, "low": 0.0, "high": 1.0}}
        known: dict[str, Any] = {
            "task": config.task.name,
            "metric": config.task.metric,
            "shots": config.shots,
            "metrics": score,
            "num_eval": 10,
        }
        known |= {"method": config.method.name, "seeds": {"seed": seed}, "keys": {"result": key}, "settings": " ".join(overrides)}
        result = replace(RESULT, **known | {"llm": "demo", "model": "demo"} | fields)
        folder = self.store.path("result", key)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "result.json", asdict(result))
        write_json(folder / "meta.json", {})
        labels = config.task.label_names
        right = [labels[0] if number + 0.5 < 10 * value else labels[1] for number in range(10)]
        pq.write_table(
            pa.table({"id": [str(number) for number in range(10)], "gold": labels[:1] * 10, "prediction": right}),
            folder / "predictions.parquet",
        )
        return key

    def report(self, *names: str, where: Sequence[str] = ()) -> Report:
        return read_report(find_sweeps(self.store, names), self.store, parse_where(where))
