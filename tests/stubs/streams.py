"""Streams filled from a client in memory, and what is selected from them."""

import asyncio
from pathlib import Path
from typing import Any

from japagen.config.schema import Config
from japagen.curation.select import Selector
from japagen.experiments.experiment import Experiment
from japagen.experiments.requests import make_selector
from japagen.prompts.writing import Prompting
from japagen.store.rowsfile import StreamRows
from japagen.store.store import Store
from japagen.synthesis.generate import Generator
from japagen.synthesis.stream import Stream, open_rows
from tests.stubs.stub_client import StubClient


def make_stream(config: Config, n: int = 4) -> Stream:
    identity = {"llm": {"chat_template_args": {}}}
    temperatures, verbalized = config.synthesis.temperatures, config.synthesis.verbalized
    return Stream("key", config.task, Prompting(), {}, n, identity, temperatures=temperatures, verbalized=verbalized)


def fill(config: Config, folder: Path, client: Any, num: int, factor: float = 5.0) -> Selector:
    rows = StreamRows(folder)
    selector = Selector(config.task, config.curate, num)
    asyncio.run(Generator(make_stream(config), rows, selector, config.llm.sampling, num, factor).run(client))
    return selector


def cut(config: Config, folder: Path, num: int) -> Selector:
    """What a data set is cut from: a fresh judge over the stored rows."""
    selector = Selector(config.task, config.curate, num)
    selector.advance(StreamRows(folder))
    return selector


def fill_stream_of(experiment: Experiment, store: Store) -> None:
    """Fills the experiment's stream in memory of a stub."""
    config = experiment.config
    rows = open_rows(store, experiment.stream)
    generator = Generator(experiment.stream, rows, make_selector(experiment), config.llm.sampling, config.num_per_label, 50)
    asyncio.run(generator.run(StubClient()))  # type: ignore[arg-type]
