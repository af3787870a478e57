"""One training loop for both demo models: a budget of minutes instead of steps, so that a build takes what it is given.

Learning rates follow the clock (warm-up, then a straight line to zero), so every budget ends with a cooled-down model.
Matrices of the layers are trained with Muon (torch.optim.Muon), embeddings, norms and biases with AdamW. Forward passes
run in bfloat16 under autocast, weights stay float32. A budget of time makes runs differ in their number of steps, so only
the data are reproducible under a seed, not the weights.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

Batch = dict[str, Tensor]
Row = TypeVar("Row")
WARM_UP = 0.03
"""Share of the budget in which learning rates rise to their peak."""
WIDTHS = (16, 24, 32, 40, 48, 56, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 768, 1024)
"""Row lengths after padding."""
SHAPE_STEP = 512


@dataclass(frozen=True)
class Record:
    """What a run took and reached; goes into the model card."""

    minutes: float
    steps: int
    tokens: int
    """Positions computed, padding included."""
    loss: float
    """Mean over the last 100 steps."""
    parameters: int


def train(model: nn.Module, batches: Iterator[Batch], loss_of: Callable[[Batch], Tensor], minutes: float, peak: float) -> Record:
    """Trains `model` in place for `minutes`; `peak` is the learning rate of both optimisers. Prints a line every 100 steps."""
    optimizers = _optimizers(model, peak)
    start, steps, tokens, losses = time.monotonic(), 0, 0, []
    model.train()
    while (progress := (time.monotonic() - start) / (60 * minutes)) < 1:
        batch = next(batches)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * min(progress / WARM_UP, (1 - progress) / (1 - WARM_UP))
            optimizer.step()
            optimizer.zero_grad()
        steps, tokens = steps + 1, tokens + batch["input_ids"].numel()
        losses.append(loss.item())
        if steps % 100 == 0:
            print(f"{60 * minutes * progress:6.0f} s  step {steps}  tokens {tokens}  loss {_mean(losses):.4f}", flush=True)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Record(round((time.monotonic() - start) / 60, 1), steps, tokens, round(_mean(losses), 4), parameters)


def bucketed(rows: Iterable[Row], tokens: int, length: Callable[[Any], int] = len) -> Iterator[list[Row]]:
    """Collects rows by `length` into batches of `tokens` positions; a batch comes when its width is full.

    Few widths and a fixed number of rows for each: oneDNN compiles and keeps a kernel for every new shape, so shapes that
    never repeat cost time and memory (torch 2.13 on the CPU).
    """
    waiting: dict[int, list[Row]] = {width: [] for width in WIDTHS}
    for row in rows:
        width = WIDTHS[bisect_left(WIDTHS, length(row))]
        waiting[width].append(row)
        if len(waiting[width]) >= max(1, tokens // width):
            yield waiting[width]
            waiting[width] = []


def loss_at(asked: Tensor, head: Callable[[Tensor], Tensor], hidden: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of `labels` (B, T) at the true positions of `asked` (B, T); `head` maps (N, D) of `hidden` to logits.

    The head runs on a multiple of 512 positions (see `bucketed` for why); those added count for nothing.
    """
    found = asked.flatten().nonzero().squeeze(1)
    padded = functional.pad(found, (0, -len(found) % SHAPE_STEP))
    logits = head(hidden.flatten(0, 1)[padded])[: len(found)]
    return functional.cross_entropy(logits.float(), labels.flatten()[found])


def pad(rows: list[list[int]], value: int) -> Tensor:
    """Rows as one tensor (batch, width of the bucket), padded at the right with `value`."""
    width = WIDTHS[bisect_left(WIDTHS, max(map(len, rows)))]
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def _optimizers(model: nn.Module, peak: float) -> list[torch.optim.Optimizer]:
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        inner = parameter.ndim == 2 and "embed" not in name and "head" not in name
        (matrices if inner else others).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=peak, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=peak, weight_decay=0.01, betas=(0.9, 0.98)),
    ]


def _mean(losses: list[float]) -> float:
    last = losses[-100:]
    return sum(last) / max(1, len(last))
