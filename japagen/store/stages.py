"""The stages of an experiment: where the store keeps what each makes, and which version of the code gives it its meaning."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One stage; `name` stands in every meta.json."""

    name: str
    words: str
    """Its name in sentences."""
    folder: str
    """In the store; all that an LLM says of texts shares one."""
    order: int
    """Stages with a lower number never read this one."""
    by_llm: bool = False
    """Whether an LLM makes it, which is paid for and can't be repeated."""
    version: int = 1
    """Enters keys; raised by hand when the code gives the stage another meaning."""


STAGES = {
    stage.name: stage
    for stage in (
        Stage("stream", "stream", "streams", 1, by_llm=True),
        Stage("attributes", "attributes", "answers", 0, by_llm=True),
        Stage("likelihoods", "likelihoods", "answers", 2, by_llm=True),
        Stage("judgements", "judgements", "answers", 3, by_llm=True),
        Stage("answers", "answers", "answers", 4, by_llm=True),
        Stage("dataset", "data set", "datasets", 5, version=3),
        Stage("model", "model", "models", 6, version=2),
        Stage("result", "result", "results", 8, version=2),
        Stage("quality", "quality report", "quality", 7, version=2),
    )
}
"""By name, in the order in which commands list them."""
LLM_STAGES = tuple(sorted((name for name, stage in STAGES.items() if stage.by_llm), key=lambda name: STAGES[name].order))
"""What an LLM makes, each after those that it reads."""
FOLDERS = tuple(dict.fromkeys(stage.folder for stage in STAGES.values()))
