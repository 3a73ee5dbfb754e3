"""One vector of a whole sequence from the outputs of its steps."""

import math

import torch
from torch import Tensor, nn

from ricorso.errors import UsageError

POOLINGS = ("last", "max", "mean", "attention")


class Pooling(nn.Module):
    """Pools outputs (time, batch, size) over the real steps of each sequence: (batch, kinds * size).

    kinds: of `POOLINGS`, put side by side. last: of the first half of a bidirectional output the last step, of the
    second half the first one. attention: a mean weighted by a learnt score (additive attention with a learnt query).

    Raises UsageError for an unknown kind or none.

    >>> import torch
    >>> Pooling(6, ("last", "mean"))(torch.zeros(5, 2, 6), torch.tensor([5, 3])).shape
    torch.Size([2, 12])
    """

    def __init__(self, size: int, kinds: tuple[str, ...], bidirectional: bool = False) -> None:
        super().__init__()
        for kind in kinds:
            if kind not in POOLINGS:
                raise UsageError(f"There is no pooling '{kind}'. Known: {', '.join(POOLINGS)}.")
        if not kinds:
            raise UsageError(f"At least one pooling is needed, of {', '.join(POOLINGS)}.")
        self.kinds, self.bidirectional = tuple(kinds), bidirectional
        self.size = len(kinds) * size
        self.score = (
            nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1)) if "attention" in kinds else None
        )

    def forward(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """outputs: zero after the end of each sequence; lengths: (batch), at least 1 each."""
        found = {}
        steps, batch = outputs.shape[:2]
        outside = torch.arange(steps, device=outputs.device)[:, None] >= lengths
        if "last" in self.kinds:
            ends = outputs[lengths - 1, torch.arange(batch, device=outputs.device)]
            half = outputs.shape[2] // 2
            found["last"] = torch.cat([ends[:, :half], outputs[0, :, half:]], 1) if self.bidirectional else ends
        if "max" in self.kinds:
            found["max"] = outputs.masked_fill(outside[:, :, None], -math.inf).amax(0)
        if "mean" in self.kinds:
            found["mean"] = outputs.sum(0) / lengths[:, None]
        if self.score is not None:
            scores = self.score(outputs).masked_fill(outside[:, :, None], -math.inf)
            found["attention"] = (scores.softmax(0) * outputs).sum(0)
        return torch.cat([found[kind] for kind in self.kinds], 1)
