"""A classification task and a regression task, as small as metrics allow."""

from japagen.tasks import Label, Task

NAMES = ["red", "green", "blue"]
COLOURS = Task(name="colours", labels=[Label(name, "書く") for name in NAMES], system="s")
LEVELS = Task(
    name="levels", kind="pair", target="regression", metric="spearman", system="s",
    labels=[Label(str(level), "書く", score=float(level)) for level in range(6)],
)  # fmt: skip
