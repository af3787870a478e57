"""The first texts of each data set of a store, as Markdown: nothing is picked, and nothing left out but what filters rejected.

    python benchmarks/first_texts.py --store DIR [--num 20] [KEY …] > docs/demo-texts.md

Texts come in the order of the stream (index, then label), training and validation rows together. KEY: data sets by key; without any, all
of the store by task.
"""

import argparse
import json
from pathlib import Path

import pyarrow.parquet


def rows_of(folder: Path) -> list[dict[str, object]]:
    """All rows of a data set in the stream's order; texts that an LLM only labelled stand behind."""
    found = [row for name in ("train", "valid") for row in pyarrow.parquet.read_table(folder / f"{name}.parquet").to_pylist()]

    def position(row: dict[str, object]) -> tuple[int, str]:
        label, _, index = str(row["id"]).rpartition("/")
        return (int(index) if index.isdigit() else 10**9, label)

    return sorted(found, key=position)


def table_of(rows: list[dict[str, object]], num: int) -> list[str]:
    """A Markdown table: the label, then the texts."""
    columns = [name for name in rows[0] if name not in ("id", "label", "score", "label_probs", "weight")]
    lines = [f"| label | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for row in rows[:num]:
        texts = [str(row[name]).replace("|", "\\|").replace("\n", " ") for name in columns]
        label = row["label"] if "score" not in row else row["score"]
        lines.append(f"| {label} | {' | '.join(texts)} |")
    return lines


def main() -> None:
    """Prints a section a data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("keys", nargs="*", metavar="KEY")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--num", type=int, default=20)
    arguments = parser.parse_args()
    sections = []
    for folder in sorted((arguments.store / "datasets").iterdir()):
        if (folder / "meta.json").is_file() and (not arguments.keys or any(folder.name.startswith(key) for key in arguments.keys)):
            task = json.loads((folder / "task.json").read_text(encoding="utf-8"))["task"]["name"]
            sections.append((task, [f"## {task}", "", *table_of(rows_of(folder), arguments.num), ""]))
    print("\n".join(line for _, lines in sorted(sections) for line in lines).rstrip())


if __name__ == "__main__":
    main()
