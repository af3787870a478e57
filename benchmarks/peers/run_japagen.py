"""japagen: fills the stream of task marcja as run.py does (claims, filters, near duplicates, durable rows, progress), and trains nothing.

`--rows` are texts accepted, half of them for each of the two labels; a request asks for `--texts-per-request`. Prints one line of JSON
as the peers' scripts do; `twice` counts lines written for a row that had one.
"""

import argparse
import asyncio
import json
from collections import Counter
from pathlib import Path

from japagen.config.composition import compose_config
from japagen.experiments.planning import plan_experiment
from japagen.experiments.stages import fill
from japagen.llm.client import Client
from japagen.llm.server import serve
from japagen.store.store import Store
from japagen.synthesis.generate import StreamProgress
from launch.progress import show_progress

NUM_LABELS = 2


def main() -> None:
    """Fills the stream and tells what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--open", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--texts-per-request", type=int, default=1)
    args = parser.parse_args()
    settings = {
        "task": "marcja", "llm.base_url": args.url, "llm.id": "stub", "num_per_label": args.rows // NUM_LABELS,
        "synthesis.texts_per_request": args.texts_per_request, "synthesis.concurrency": args.open,
    }  # fmt: skip
    experiment = plan_experiment(compose_config([f"{name}={value}" for name, value in settings.items()]))
    store, llm = Store(args.out), experiment.config.llm
    latest: list[StreamProgress] = []

    async def run() -> None:
        with serve(llm, llm.id, None, store.root / "logs", "cpu") as endpoint:
            async with Client(endpoint, llm.id, experiment.config.synthesis.concurrency) as client:
                with show_progress("marcja") as display:

                    def show(progress: StreamProgress) -> None:
                        latest[:] = [progress]
                        display.show(progress)

                    await fill(experiment, "stream", store, client, show)

    asyncio.run(run())
    files = store.path("stream", experiment.keys["stream"]).glob("rows-*.jsonl")
    lines = [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    positions = Counter((line["label"], line["index"]) for line in lines)
    empty = sum(line["finish_reason"] == "error" for line in lines)
    found = {"rows": len(lines), "empty": empty, "swapped": 0, "twice": len(lines) - len(positions)}
    print(json.dumps(found | {"lost": args.rows - latest[-1].accepted}))


if __name__ == "__main__":
    main()
