"""The whole report as one JSON document: sweeps, tables, comparisons, worth in gold rows, and every run with its result.json's fields."""

import json
import math
from dataclasses import asdict
from typing import Any

from japagen.experiments.result import Result
from japagen.reporting.formats.notes import notes
from japagen.reporting.pivots import pivots
from japagen.reporting.report import Report, Run
from japagen.reporting.setting_names import named_settings
from japagen.reporting.worth import worths


def render(report: Report) -> str:
    """Strict JSON: a number that is none (NaN, infinity) is null."""
    tables = pivots(report)
    named = [named_settings(run.config) for run in report.runs]
    varied = [
        name for name in dict.fromkeys(name for values in named for name in values) if len({values.get(name) for values in named}) > 1
    ]
    content = {
        "sweeps": [asdict(sweep) for sweep in report.sweeps],
        "notes": notes(report, tables),
        "tables": [asdict(pivot) for pivot in tables],
        "comparisons": [asdict(comparison) for comparison in report.comparisons],
        "worth": [asdict(worth) for worth in worths(report.groups)],
        "runs": [
            _run(run) | {"varied": {name: values[name] for name in varied if name in values}}
            for run, values in zip(report.runs, named, strict=True)
        ],
    }
    return json.dumps(_finite(content), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _run(run: Run) -> dict[str, Any]:
    """The result's fields under `result`, or the cause; `varied` are the settings in which the report's runs differ, seeds apart."""
    if isinstance(run.outcome, Result):
        return {"sweep": run.sweep, "name": run.outcome.name, "state": "done", "result": asdict(run.outcome)}
    return {"sweep": run.sweep, "name": run.outcome.name, "state": "pending" if run.is_pending else "failed", "cause": run.outcome.cause}


def _finite(value: Any) -> Any:
    """The value with null for numbers that JSON cannot express."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
