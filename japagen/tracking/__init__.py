"""Weights & Biases: one run per experiment, grouped by sweep. Optional everywhere; docs/wandb.md lists what is sent.

Goes in: an experiment while its student trains, then its result and the store's folders. Goes out: runs, online or in the
store's folder `wandb`.
Gold texts and users' own never go there, nor exemplars, paths of this machine or keys, unless `logger.upload_texts=true` lets data sets
with such texts go.
"""

from japagen.experiments.experiment import run_name
from japagen.tracking.login import wandb_mode
from japagen.tracking.offline import sync_command
from japagen.tracking.runs import Tracker, log_found, track

__all__ = ["Tracker", "log_found", "run_name", "sync_command", "track", "wandb_mode"]
