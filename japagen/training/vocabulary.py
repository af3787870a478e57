"""Training with the part of the vocabulary that occurs: an embedding table without the tokens of no row, and the whole table at the end.

Of a small multilingual encoder most parameters are embeddings (multilingual-e5-small: 96 of 118 million), of which a data set meets a few
thousand. Tokens without a gradient change in one way only: AdamW's weight decay scales them at each step (Loshchilov and Hutter 2019),
whatever the rows are. So their training is left out and the product of those factors is applied once, which gives the same student up to
rounding. Clipping sees the same norm, since the gradients left out are zero.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from japagen.training.encoding import Encoded


class UsedEmbedding(nn.Module):
    """An embedding of some tokens of a vocabulary, which takes the whole vocabulary's ids."""

    def __init__(self, whole: nn.Embedding, used: torch.Tensor) -> None:
        """used: (U,) int64, ids in ascending order; an id that is not among them must not be looked up."""
        super().__init__()
        device = whole.weight.device
        self.weight = nn.Parameter(whole.weight.detach()[used.to(device)].clone())
        rows = torch.zeros(whole.num_embeddings, dtype=torch.int64, device=device)
        rows[used] = torch.arange(len(used), device=device)
        self.register_buffer("rows", rows, persistent=False)
        self.rows: torch.Tensor
        self.padding_row = None if whole.padding_idx is None else int(rows[whole.padding_idx])

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """ids: (…) int64 -> (…, D)."""
        return functional.embedding(self.rows[ids], self.weight, self.padding_row)


class Vocabulary:
    """The input embeddings of a model, reduced to the tokens of its rows while it trains."""

    def __init__(self, model: PreTrainedModel, encoded: Iterable[Encoded], further: Iterable[int | None] = ()) -> None:
        """Puts the reduced table into `model`, unless its table is of another kind or shared with another layer.

        encoded: all rows that the model will see. further: ids that batches may hold besides (padding).
        """
        self._whole: nn.Embedding | None = None
        try:
            whole = model.get_input_embeddings()
        except NotImplementedError:  # an architecture of its own code
            return
        if type(whole) is not nn.Embedding or whole.max_norm is not None or _is_shared(model, whole):
            return
        ids = [row["input_ids"] for part in encoded for row in part.rows]
        also = [number for number in (*further, whole.padding_idx) if number is not None]
        used = np.unique(np.concatenate([*ids, np.array(also, dtype=np.int32)]))
        self._whole, self._used = whole, torch.from_numpy(used.astype(np.int64))
        model.set_input_embeddings(UsedEmbedding(whole, self._used))

    def put_back(self, model: PreTrainedModel, decay: float) -> None:
        """The whole table again: trained rows as they are in `model`, the others scaled by `decay` (1: none)."""
        if self._whole is None:
            return
        reduced = model.get_input_embeddings()
        assert isinstance(reduced, UsedEmbedding)
        trained = reduced.weight.detach()
        with torch.no_grad():
            self._whole.weight.mul_(decay)
            self._whole.weight[self._used] = trained.to(self._whole.weight.device)
        model.set_input_embeddings(self._whole.to(trained.device))


def _is_shared(model: PreTrainedModel, layer: nn.Embedding) -> bool:
    """Whether another module computes with the same table (a head whose weights are tied)."""
    return sum(parameter is layer.weight for _, parameter in model.named_parameters(remove_duplicate=False)) > 1
