"""Tokens per second of an LLM on this machine's CPU, before its weights are here: from its config.json and a probe of a second.

A decoding step reads every weight once and multiplies it with each open request: bytes / bandwidth + operations / speed. Where tokens are
drawn by top_p or top_k, it also sorts the vocabulary for each request, which on a CPU can take longer than all else. The probe measures the
three with tensors of its own, in the type and with the threads that a server would use. What else a step costs (attention, Python) is
a constant a layer and an amount a request, fitted to the small LLMs of docs/performance.md; the estimate is meant to be right within a
factor of two.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch.nn.functional import linear
from transformers import AutoConfig, AutoModelForCausalLM

from japagen.config.llm import LLM
from japagen.errors import JapagenError
from japagen.hub.models import find_file
from japagen.llm.cpu import HALF_TYPES, choose_dtype, count_threads
from japagen.output import format_duration

OPEN_REQUESTS = 64
"""Requests open at a time for which speed is stated; a run starts with so many."""
PROMPT_TOKENS = 64
"""Tokens of a prompt that the prefix cache does not hold, for each reply."""
_LAYER_S = 0.0005
_REQUEST_S = 0.0005
_PROBE_BYTES = 256 * 2**20
"""Beyond the cache of most CPUs."""
_PROBE_S = 0.3


@dataclass(frozen=True)
class Weights:
    """Size of an LLM's weights."""

    num_all: int
    num_active: int
    """Weights that one token is multiplied with: no input embedding, and of a mixture of experts those that are at work."""
    num_layers: int
    vocab_size: int


@dataclass(frozen=True)
class Probe:
    """What this machine's CPU does with matrices of one type."""

    dtype: str
    num_threads: int
    bytes_per_s: float
    operations_per_s: float
    sorted_per_s: float
    """Logits that are sorted, and from which top_p is reckoned."""


@dataclass(frozen=True)
class Estimate:
    """What a probe of this machine says of an LLM."""

    weights: Weights
    probe: Probe
    needed_gb: float
    """Memory for weights and KV cache."""
    tokens_per_s: float
    """With OPEN_REQUESTS requests open."""

    def describe(self) -> str:
        """The speed, and what it rests on."""
        return (
            f"about {self.tokens_per_s:.0f} tokens/s with {OPEN_REQUESTS} requests open (estimated from a probe: {self.probe.dtype},"
            f" {self.probe.num_threads} threads, {self.probe.operations_per_s / 1e9:.0f} GFLOP/s, {self.probe.bytes_per_s / 1e9:.0f} GB/s)"
        )


def estimate(llm: LLM) -> Estimate | None:
    """Size and speed of `llm` on this CPU; None where its config.json is not at hand or transformers doesn't know its architecture."""
    weights = _find_weights(llm)
    if weights is None:
        return None
    dtype = choose_dtype("bfloat16" if llm.dtype in HALF_TYPES else llm.dtype)
    needed_gb = memory_gb(weights, dtype) + llm.server.cpu_kvcache_gib * 2**30 / 1e9
    measured = probe(dtype, count_threads(os.environ))
    sorts = llm.sampling.temperature > 0 and (llm.sampling.top_p < 1 or llm.sampling.top_k > 0)
    return Estimate(weights, measured, needed_gb, tokens_per_s(weights, measured, sorts=sorts))


def offer(llm: LLM, num_replies: int = 0) -> str:
    """How fast this CPU would run `llm`, how long `num_replies` take (0: not known), and the switch that starts it."""
    found = estimate(llm)
    if found is None:
        return "Its speed can't be estimated without a config.json that transformers knows. To start it, add device=cpu."
    size = f"{found.weights.num_all / 1e9:.2g} billion weights"
    if found.needed_gb > (machine_gb := machine_memory_gb()):
        return f"Its {size} and the KV cache take {found.needed_gb:.0f} GB, and this machine has {machine_gb:.0f} GB."
    speed = f"Its {size} would write {found.describe()}"
    if num_replies:
        most = llm.sampling.longest
        speed += f"; {num_replies:,} replies of at most {most} tokens take up to {format_duration(num_replies * most / found.tokens_per_s)}"
    return f"{speed}. To start it, add device=cpu."


def _find_weights(llm: LLM) -> Weights | None:
    try:
        path = find_file(llm.id, llm.revision, "config.json")
    except JapagenError:
        return None
    return None if path is None else count_weights(path)


def count_weights(config_path: Path) -> Weights | None:
    """Counts the weights of the model that a config.json describes, without allocating them; None where transformers can't build it."""
    try:
        config = AutoConfig.for_model(**json.loads(config_path.read_text(encoding="utf-8")))
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except Exception:  # an architecture of its own code or newer than this transformers: there is no common base
        return None
    text = config.get_text_config()
    named = {name: weight.numel() for name, weight in model.named_parameters()}
    num_experts = getattr(text, "num_experts", None) or getattr(text, "num_local_experts", None) or 0
    share = getattr(text, "num_experts_per_tok", num_experts) / num_experts if num_experts else 1.0
    active = sum(num * (share if ".experts." in name else 1.0) for name, num in named.items())
    if not getattr(text, "tie_word_embeddings", False):
        active -= model.get_input_embeddings().weight.numel()
    return Weights(sum(named.values()), round(active), text.num_hidden_layers, text.vocab_size)


def probe(dtype: str, num_threads: int) -> Probe:
    """Measures memory bandwidth (one row times a matrix larger than the cache), matrix speed (OPEN_REQUESTS rows) and sorting."""
    kind, before = getattr(torch, dtype), torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        with torch.inference_mode():
            width = 2048
            large = torch.full((_PROBE_BYTES // kind.itemsize // width, width), 0.01, dtype=kind)
            bytes_per_s = large.nbytes / _fastest_s(partial(linear, torch.ones(1, width, dtype=kind)), large)
            some = large[:8192]
            many = torch.ones(OPEN_REQUESTS, width, dtype=kind)
            operations_per_s = 2 * OPEN_REQUESTS * some.numel() / _fastest_s(partial(linear, many), some)
            logits = torch.randn(8, 100_000)
            sorted_per_s = logits.numel() / _fastest_s(_keep_top, logits)
    finally:
        torch.set_num_threads(before)
    return Probe(dtype, num_threads, bytes_per_s, operations_per_s, sorted_per_s)


def _keep_top(logits: torch.Tensor) -> torch.Tensor:
    """What drawing by top_p does with logits: they are sorted, summed up as probabilities, masked, and put back in their order."""
    ordered, places = logits.sort(dim=-1)
    ordered.masked_fill_(ordered.softmax(dim=-1).cumsum(dim=-1) <= 0.05, -float("inf"))
    return torch.empty_like(logits).scatter_(-1, places, ordered).softmax(dim=-1)


def _fastest_s(work: Callable[[torch.Tensor], torch.Tensor], tensor: torch.Tensor) -> float:
    """Seconds of the fastest run, since other work on the machine only makes it slower."""
    fastest, end = float("inf"), time.monotonic() + _PROBE_S
    work(tensor)
    while time.monotonic() < end or fastest == float("inf"):
        began = time.perf_counter()
        work(tensor)
        fastest = min(fastest, time.perf_counter() - began)
    return fastest


def tokens_per_s(weights: Weights, measured: Probe, num_open: int = OPEN_REQUESTS, sorts: bool = True) -> float:
    """Tokens that `num_open` requests get together in a second. `sorts`: whether tokens are drawn by top_p or top_k."""
    step_s = weights.num_active * getattr(torch, measured.dtype).itemsize / measured.bytes_per_s
    step_s += 2 * weights.num_active * num_open / measured.operations_per_s
    step_s += num_open * weights.vocab_size / measured.sorted_per_s if sorts else 0.0
    return num_open / (step_s + _LAYER_S * weights.num_layers + _REQUEST_S * num_open)


def memory_gb(weights: Weights, dtype: str) -> float:
    """GB (10^9 bytes) of the weights alone."""
    return weights.num_all * getattr(torch, dtype).itemsize / 1e9


def machine_memory_gb() -> float:
    """GB (10^9 bytes) of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
