"""Texts that would run a script, were they not escaped, and a report that is full of them."""

from pathlib import Path

from japagen.config.schema import Config
from japagen.experiments.result import Failure
from japagen.reporting.report import Report, Run
from japagen.store.store import Store
from japagen.sweeps.folder import Sweep
from tests.conftest import Compose
from tests.reporting.html.invented import invented_report, write_stream

RUN = "window.hacked=1"
TEXTS = (
    f"<script>{RUN}</script>",
    f'<img src=x onerror="{RUN}">',
    f"</script><script>{RUN}</script>",
    f"</style><svg onload={RUN}>",
    f"'\"><iframe srcdoc='<script>parent.{RUN}</script>'>",
    f'<a href="javascript:{RUN}">押す</a>',
    "{{7*7}}{% for x in y %}",
    f"--><details open ontoggle={RUN}>",
    f'" onmouseover="{RUN}" data-x="',
    "&lt;b&gt; & 日本語",
)


def poison(config: Config) -> None:
    """Names that a task's, an LLM's or an encoder's YAML may give."""
    config.task.title = config.task.metric + TEXTS[0]
    config.task.labels[0].name = TEXTS[1]
    config.task.fields = [f"{TEXTS[2]}{index}" for index in range(len(config.task.fields))]
    config.llm.name, config.model.name = TEXTS[3], TEXTS[5]


def hostile_report(composed: Compose, root: Path) -> tuple[Report, Store]:
    """A report of the jnli task, called by a hostile name, and its store."""

    def change(config: Config) -> None:
        poison(config)
        config.task.name = TEXTS[0]

    store = Store(root)
    for seed in range(2):  # streams that drew hostile attributes, before the report's own are written
        config = composed("task=jnli", "llm=qwen3-8b", f"seed={seed}")
        change(config)
    write_stream(store, "drawn", config.task, drawn={TEXTS[0]: TEXTS[1]})
    report = invented_report(composed, store, tasks=("jnli",), seeds=1, said=TEXTS, change=change)
    streams = {run.outcome.keys["stream"] for run in report.runs if hasattr(run.outcome, "keys") and "stream" in run.outcome.keys}
    for stream in streams:
        rows = (store.path("stream", "drawn") / "rows-0000-aa.jsonl").read_text(encoding="utf-8")
        (store.path("stream", stream) / "rows-0000-aa.jsonl").write_text(rows, encoding="utf-8")
    failure = Run(TEXTS[4], report.runs[0].config, Failure(TEXTS[8], TEXTS[0], f"{TEXTS[1]} {TEXTS[7]}"))
    sweep = Sweep(TEXTS[4], TEXTS[6], ("run.py", TEXTS[2]), TEXTS[9], 1)
    return Report((*report.sweeps, sweep), (*report.runs, failure)), store
