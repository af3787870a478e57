"""What every peer's script shares: the same arguments, the same prompts, and one line of JSON at the end. Standard library only."""

import argparse
import json
import re
from collections.abc import Iterable

INSTRUCTION = "通信販売で買った品物について、満足した客のレビューを200文字以内で一つ書いてください。レビューだけを出力してください。"
MODEL = "stub"
MAX_TOKENS = 256
ROW = re.compile(r"row=(\d+)")


def read_arguments() -> argparse.Namespace:
    """Where the server is, how many rows are wanted, how many requests may be open, and the folder that a second run finds again."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True, help="ends in /v1")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--open", type=int, required=True)
    parser.add_argument("--out", required=True)
    return parser.parse_args()


def prompt_of(number: int) -> str:
    """The request for one row; the server's reply begins with the same number."""
    return f"{INSTRUCTION} row={number}"


def tell(wanted: int, rows: Iterable[tuple[int, str | None]]) -> None:
    """Prints what came out: rows in the output, without a text, with another row's text, twice; and rows lost."""
    numbers, good, empty, swapped = [], set(), 0, 0
    for number, text in rows:
        numbers.append(number)
        found = ROW.match(text or "")
        if not text:
            empty += 1
        elif found is None or int(found[1]) != number:
            swapped += 1
        else:
            good.add(number)
    found_rows = {"rows": len(numbers), "empty": empty, "swapped": swapped, "twice": len(numbers) - len(set(numbers))}
    print(json.dumps(found_rows | {"lost": wanted - len(good)}))
