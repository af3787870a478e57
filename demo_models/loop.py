"""One training loop for both demo models: a budget of minutes instead of steps, so that a build takes what it is given.

Learning rates follow the clock (warm-up, then a straight line to zero), so every budget ends with a cooled-down model.
Matrices of the layers are trained with Muon (torch.optim.Muon), embeddings, norms and biases with AdamW. Forward passes
run in bfloat16 under autocast, weights stay float32. A budget of time makes runs differ in their number of steps, so only
the data are reproducible under a seed, not the weights. A run that is interrupted resumes from its last checkpoint, at most two minutes
back: weights, optimisers and the budget's used part are read, and batches that were used are drawn again and passed over.
"""

import hashlib
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

Batch = dict[str, Tensor]
Row = TypeVar("Row")
WARM_UP = 0.03
"""Share of the budget in which learning rates rise to their peak."""
WIDTHS = (16, 24, 32, 40, 48, 56, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 768, 1024)
"""Row lengths after padding."""
SHAPE_STEP = 512
CHECKPOINT_S = 120.0


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


@dataclass
class _Progress:
    """What a run has used of its budget."""

    seconds: float = 0.0
    steps: int = 0
    tokens: int = 0
    losses: list[float] = field(default_factory=list)
    """Of the last 100 steps."""


@dataclass(frozen=True)
class Checkpoint:
    """A file that holds a run's state; `run` names the run (its data and settings), and another run's file is not read."""

    path: Path
    run: str

    def save(self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer], progress: _Progress) -> None:
        """Writes the file as a whole."""
        states = [optimizer.state_dict() for optimizer in optimizers]
        fresh = self.path.with_name(f"{self.path.name}.new")
        torch.save({"run": self.run, "model": model.state_dict(), "optimizers": states, "progress": asdict(progress)}, fresh)
        fresh.replace(self.path)

    def load(self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> _Progress:
        """Restores `model` and `optimizers`; a run without a checkpoint begins."""
        if not self.path.is_file() or (found := torch.load(self.path, weights_only=True))["run"] != self.run:
            return _Progress()
        model.load_state_dict(found["model"])
        for optimizer, state in zip(optimizers, found["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        return _Progress(**found["progress"])


def train(
    model: nn.Module, batches: Iterator[Batch], loss_of: Callable[[Batch], Tensor], minutes: float, peak: float,
    checkpoint: Checkpoint | None = None,
) -> Record:  # fmt: skip
    """Trains `model` in place for `minutes`; `peak` is the learning rate of both optimisers. Prints a line every 100 steps.

    With `checkpoint` an interrupted run is resumed; its caller deletes the file when the model is saved.
    """
    optimizers = _optimizers(model, peak)
    done = checkpoint.load(model, optimizers) if checkpoint else _Progress()
    next(islice(batches, done.steps, done.steps), None)
    begun = saved = time.monotonic()
    before = done.seconds
    model.train()
    while (progress := done.seconds / (60 * minutes)) < 1:
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
        done.steps, done.tokens = done.steps + 1, done.tokens + batch["input_ids"].numel()
        done.losses = [*done.losses[-99:], loss.item()]
        if done.steps % 100 == 0:
            print(f"{done.seconds:6.0f} s  step {done.steps}  tokens {done.tokens}  loss {_mean(done.losses):.4f}", flush=True)
        done.seconds = before + time.monotonic() - begun
        if checkpoint and time.monotonic() - saved > CHECKPOINT_S:
            checkpoint.save(model, optimizers, done)
            saved = time.monotonic()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Record(round(done.seconds / 60, 1), done.steps, done.tokens, round(_mean(done.losses), 4), parameters)


def run_name(tokenizer: Tokenizer, *settings: object) -> str:
    """A run's name for its checkpoint: the tokenizer stands for the corpus and the prompts, which it is made of."""
    return hashlib.sha256(repr((tokenizer.to_str(), settings)).encode()).hexdigest()


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
    return sum(losses) / max(1, len(losses))
