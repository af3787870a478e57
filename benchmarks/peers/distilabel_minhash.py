"""distilabel's MinHashDedup over the texts of a JSON file: `python distilabel_minhash.py TEXTS OUT THRESHOLD NGRAM step|pipeline`.

`step` calls the step itself, batch after batch; `pipeline` runs it as its documentation does, in a pipeline with processes of its own.
OUT gets what it kept, text by text, and how long that took. benchmarks/near.py runs it in distilabel's environment.
"""

import json
import sys
import time
from itertools import chain
from pathlib import Path
from typing import Any

from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts, MinHashDedup

BATCH = 1_000
KEPT = "keep_row_after_minhash_filtering"


def in_step(rows: list[dict[str, Any]], settings: dict[str, Any]) -> list[bool]:
    """What the step says when it is called with batches of rows."""
    step = MinHashDedup(name="dedup", pipeline=Pipeline(name="near"), **settings)
    step.load()
    batches = (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
    return [row[KEPT] for batch in batches for row in chain.from_iterable(step.process(batch))]


def in_pipeline(rows: list[dict[str, Any]], settings: dict[str, Any]) -> list[bool]:
    """What the step says in a pipeline."""
    with Pipeline(name="near") as pipeline:
        LoadDataFromDicts(data=rows, batch_size=BATCH) >> MinHashDedup(input_batch_size=BATCH, **settings)
    return list(pipeline.run(use_cache=False)["default"]["train"][KEPT])


if __name__ == "__main__":
    texts, out, threshold, ngram, way = sys.argv[1:]
    asked = [{"text": text} for text in json.loads(Path(texts).read_text(encoding="utf-8"))]
    began, cpu_began = time.perf_counter(), time.process_time()
    kept = (in_step if way == "step" else in_pipeline)(asked, {"tokenizer": "ngrams", "n": int(ngram), "threshold": float(threshold)})
    seconds = {"seconds": time.perf_counter() - began, "cpu seconds": time.process_time() - cpu_began}
    Path(out).write_text(json.dumps({"kept": kept, **seconds}), encoding="utf-8")
