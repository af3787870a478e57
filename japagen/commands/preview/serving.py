"""A server for a preview: started as a run starts it, and said so."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from japagen.experiments.experiment import Experiment, llm_location
from japagen.llm.build import choose_device
from japagen.llm.endpoint import Endpoint
from japagen.llm.server import serve
from japagen.store.store import Store


@contextmanager
def served(experiment: Experiment, stage: str, store: Store, console: Console) -> Iterator[Endpoint]:
    """The LLM of one of the experiment's stages, ready; ConfigError or ServerError where it can't be had."""
    config = experiment.config
    if config.llm.base_url is None:
        choose_device(config.llm, config.device)
    where = config.llm.base_url or f"starting vLLM; log in {store.root / 'logs'}"
    console.print(f"{config.llm.name}: {where}", soft_wrap=True, markup=False)
    location, revision = llm_location(experiment, stage)
    with serve(config.llm, location, revision, store.root / "logs", config.device) as endpoint:
        yield endpoint
