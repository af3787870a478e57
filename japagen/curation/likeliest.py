"""Selection by probability: of each label's texts those that the LLM itself finds most probable under the label's request.

SuperGen (Meng et al. 2022) keeps the best texts of a label by their mean log-probability: unlikely texts tend to be noise. It also
costs diversity, since what is most probable is what is most usual.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from japagen.errors import GenerationError
from japagen.tasks import Example, Task

LESS_PROBABLE = "less probable"
"""Dropped: enough others of the label have a higher mean log-probability."""


@dataclass(frozen=True)
class Likeliest:
    """The rows that were kept."""

    examples: tuple[Example, ...]
    """In the order in which they came."""
    rejects: dict[str, dict[str, int]]
    """label -> LESS_PROBABLE -> rows dropped."""


def keep_likeliest(task: Task, examples: Sequence[Example], mean_logprobs: Mapping[str, float | None], share: float) -> Likeliest:
    """`share` (above 0, up to 1) of each label's examples, rounded, and one at least: those with the highest mean log-probability.

    mean_logprobs: example id -> mean over the text's tokens, in nats; None (or nan): the LLM gave none, which ranks last. Of
    equals the earlier one is kept. A smaller share keeps a part of what a larger one keeps.
    Raises GenerationError for a label none of whose rows has a log-probability, since the choice would then mean nothing.
    """
    if share == 1:
        return Likeliest(tuple(examples), {name: {} for name in task.label_names})
    values = [_value(mean_logprobs[example.id]) for example in examples]
    indices: dict[str, list[int]] = defaultdict(list)
    for index, example in enumerate(examples):
        indices[example.label].append(index)
    kept: set[int] = set()
    rejects: dict[str, dict[str, int]] = {name: {} for name in task.label_names}
    for name, own in indices.items():
        if all(values[index] == -math.inf for index in own):
            raise GenerationError(
                f"task {task.name!r}: curate.keep_likeliest={share}: none of the {len(own)} rows of label {name!r} has a log-probability;"
                " the LLM's server must give them (prompt_logprobs), or set curate.keep_likeliest=1.0"
            )
        best = sorted(own, key=lambda index: -values[index])[: max(1, round(share * len(own)))]
        kept.update(best)
        if len(best) < len(own):
            rejects[name][LESS_PROBABLE] = len(own) - len(best)
    return Likeliest(tuple(example for index, example in enumerate(examples) if index in kept), rejects)


def _value(mean_logprob: float | None) -> float:
    return -math.inf if mean_logprob is None or math.isnan(mean_logprob) else mean_logprob
