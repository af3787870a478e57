"""A server for a preview, started as a run starts it, and its LLM asked as a run asks it."""

import asyncio

from rich.console import Console

from japagen.experiments.experiment import Experiment, llm_location
from japagen.experiments.stages import fill
from japagen.llm.build import choose_device
from japagen.llm.client import Client
from japagen.llm.endpoint import Endpoint
from japagen.llm.server import serve
from japagen.store.store import Store
from japagen.synthesis.generate import StreamProgress


def ask(experiment: Experiment, stage: str, store: Store, console: Console, first: int | None = None) -> StreamProgress:
    """How far the stage is once the LLM was asked for it, see `fill`; ConfigError or ServerError where no server can be started."""
    config = experiment.config
    if config.llm.base_url is None:
        choose_device(config.llm, config.device)
    where = config.llm.base_url or f"starting vLLM; log in {store.root / 'logs'}"
    console.print(f"{config.llm.name}: {where}", soft_wrap=True, markup=False)
    location, revision = llm_location(experiment, stage)
    with serve(config.llm, location, revision, store.root / "logs", config.device) as endpoint:
        return asyncio.run(_fill(experiment, stage, store, endpoint, first))


async def _fill(experiment: Experiment, stage: str, store: Store, endpoint: Endpoint, first: int | None) -> StreamProgress:
    shown: list[StreamProgress] = []
    llm, concurrency = experiment.config.llm, experiment.config.synthesis.concurrency
    async with Client(endpoint, llm.id, concurrency, llm.request_args) as client:
        await fill(experiment, stage, store, client, shown.append, first=first)
    return shown[-1]
