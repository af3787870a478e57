"""Files of rows in every format that gold data may have, and two tasks whose rows they hold."""

import csv
import json
from pathlib import Path
from typing import Any

from japagen.tasks import Label, Task

TASK = Task(name="mail", fields=["text"], label_field="label", labels=[Label("spam", "x"), Label("ham", "y")])


def write_json_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8", newline="")
    return path


def write_json_array(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8", newline="")
    return path


def write_delimited(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    import pandas

    pandas.DataFrame(rows).to_parquet(path)
    return path


LEVELS = Task(name="stars", target="regression", metric="spearman", labels=[Label(str(n), "x", score=float(n)) for n in range(1, 6)])
