"""A W&B Report of sweeps: their tables as Markdown, their runs, their scores and training curves, in the project that has the runs.

Goes in: a title, Markdown, the sweeps' names (the runs' groups). Goes out: the report, saved in W&B, and its address. The Markdown must
hold no gold text and none of users' (`japagen.reporting` writes scores only); W&B's page asks its runs for all else.
"""

from collections.abc import Sequence
from typing import Any

from japagen.errors import ConfigError

MAX_TITLE = 128
"""Characters that W&B takes."""


def publish_report(title: str, markdown: str, groups: Sequence[str], project: str, entity: str | None) -> str:
    """Saves a report of the runs of `groups` (sweeps' names) and returns its address; saved anew each time.

    `entity`: a user or team of W&B; None: the account's own. Raises ConfigError where nobody is logged in, where W&B can't be reached or
    refuses, and where the project isn't there: then no run was ever brought online.
    """
    import wandb

    _check_login()
    try:
        return _save(title, markdown, groups, project, entity)
    except (wandb.Error, ValueError, RuntimeError, OSError) as error:
        cause = str(error).strip().splitlines()
        raise ConfigError(
            f"W&B took no report for project {project!r} ({cause[0] if cause else type(error).__name__}): are runs of the sweep online"
            " there (wandb sync), and are logger.project and logger.entity right? All other formats work without W&B"
        ) from error


def _check_login() -> None:
    """Raises ConfigError without a login; asks nobody for a key."""
    import wandb
    from wandb.sdk.lib import wbauth

    cure = "the report needs an account: run `wandb login`, or set WANDB_API_KEY; all other formats work without W&B"
    try:
        host = wandb.setup().settings.base_url
        found = wbauth.authenticate_session(host=host, source="japagen report", prompt=False, update_session=False)
    except wandb.Error as error:
        raise ConfigError(f"not logged in to W&B ({str(error).splitlines()[0]}): {cure}") from error
    if found is None:
        raise ConfigError(f"not logged in to W&B: {cure}")


def _save(title: str, markdown: str, groups: Sequence[str], project: str, entity: str | None) -> str:
    import wandb
    import wandb_workspaces.reports.v2 as reports

    entity = entity or wandb.Api().default_entity
    if entity is None:
        raise ConfigError("W&B names no account for this key: start the sweep again with logger.entity=NAME (nothing is made twice)")
    report = reports.Report(
        project=project, entity=entity, title=title[:MAX_TITLE], width="fluid",
        blocks=[reports.MarkdownBlock(markdown), reports.H2("Runs"), _panels(groups, project, entity)],
    )  # fmt: skip
    report.save()
    return str(report.url)


def _panels(groups: Sequence[str], project: str, entity: str) -> Any:
    """The sweeps' runs, grouped by sweep, under a chart of scores and the training curves."""
    import wandb_workspaces.reports.v2 as reports
    from wandb_workspaces import expr

    wanted = (expr.Metric("Group") == group for group in groups)
    runs = reports.Runset(
        project=project, entity=entity, name="sweeps" if len(groups) > 1 else groups[0], groupby=["group"],
        filters=expr.Or(*wanted),
    )  # fmt: skip
    return reports.PanelGrid(
        runsets=[runs],
        panels=[
            reports.BarPlot(title="gold: each task's metric", metrics=[reports.SummaryMetric("gold/primary")], layout=_layout(0)),
            reports.LinePlot(title="validation rows (not gold)", x="Step", metric_regex="valid/.*", layout=_layout(1)),
            reports.LinePlot(title="training loss", x="Step", y=["train/loss"], layout=_layout(2)),
        ],
    )


def _layout(number: int) -> Any:
    """The number-th of three panels in a row."""
    import wandb_workspaces.reports.v2 as reports

    return reports.Layout(x=8 * number, y=0, w=8, h=8)
