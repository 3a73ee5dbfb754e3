"""A linear-chain conditional random field: scores of whole tag sequences, exact probabilities, best paths."""

from typing import Any

import torch
from torch import Tensor, nn

from ricorso.errors import ShapeError, UsageError

# the logarithm of what forbidden tags are worth; its exponential is zero in float64
_NEVER = -1e4


class CRF(nn.Module):
    """Scores tag sequences by the scores of each step and of each pair of neighbours (Lafferty et al. 2001).

    tags: how many there are. allowed: (tags + 1, tags + 1) of bool, which tag may follow which; the last row says which
    may come first, the last column which may come last. Left out, all may.

    Scores of the steps are (time, batch, tags); lengths (batch) says how many steps of each sequence count, all of them
    when not given. Everything is computed in float64 and exact: sums over all sequences take one small product a step,
    and their gradients are the marginals, which takes one more.

    >>> crf = CRF(3)
    >>> scores, tags = torch.zeros(4, 2, 3), torch.zeros(4, 2, dtype=torch.long)
    >>> crf.log_likelihood(scores, tags).shape, crf.decode(scores).shape
    (torch.Size([2]), torch.Size([4, 2]))
    """

    allowed: Tensor | None

    def __init__(self, tags: int, allowed: Tensor | None = None) -> None:
        super().__init__()
        if tags < 1:
            raise UsageError(f"A CRF needs at least 1 tag, got {tags}.")
        if allowed is not None and (allowed.shape != (tags + 1, tags + 1) or allowed.dtype != torch.bool):
            raise ShapeError(
                f"`allowed` is {tuple(allowed.shape)} of {allowed.dtype}; wanted ({tags + 1}, {tags + 1}) of bool: "
                f"each tag and, last, the outside."
            )
        self.tags = tags
        self.transitions = nn.Parameter(torch.zeros(tags, tags))
        self.start = nn.Parameter(torch.zeros(tags))
        self.end = nn.Parameter(torch.zeros(tags))
        self.register_buffer("allowed", allowed, persistent=False)

    def extra_repr(self) -> str:
        return f"{self.tags} tags" + (", some pairs forbidden" if self.allowed is not None else "")

    def log_likelihood(self, scores: Tensor, tags: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The logarithm of the probability of a tag sequence (time, batch), for each sequence (batch).

        Raises ShapeError for tensors that do not fit.
        """
        lengths = self._lengths(scores, lengths)
        if tags.shape != scores.shape[:2]:
            raise ShapeError(f"`tags` is {tuple(tags.shape)}; the scores are of {tuple(scores.shape[:2])} steps.")
        start, transitions, end = self._weights()
        total = _LogSum.apply(scores.double(), start, transitions, end, lengths)  # type: ignore[no-untyped-call]
        likelihood: Tensor = self._score(scores.double(), tags, lengths) - total
        return likelihood.to(scores.dtype)

    def marginals(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The probability of each tag at each step, (time, batch, tags); zero after the end of a sequence."""
        lengths = self._lengths(scores, lengths)
        start, transitions, end = (weight.detach() for weight in self._weights())
        return _Chain(scores.detach().double(), start, transitions, end, lengths).marginals()[0].to(scores.dtype)

    @torch.no_grad()
    def decode(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The most probable tag sequence, (time, batch); 0 after the end of a sequence (Viterbi 1967)."""
        return self.best(scores, lengths, 1)[0][0]

    @torch.no_grad()
    def best(self, scores: Tensor, lengths: Tensor | None = None, count: int = 1) -> tuple[Tensor, Tensor]:
        """The `count` most probable tag sequences, (count, time, batch), and their log-probabilities, (count, batch).

        Where there are fewer sequences than that, the rest have a log-probability of minus infinity.
        """
        lengths = self._lengths(scores, lengths)
        if count < 1:
            raise UsageError(f"count must be 1 or more, got {count}.")
        start, transitions, end = self._weights()
        steps, batch, tags = scores.shape
        own = scores.double()
        # (batch, tags, count): the best ways to be at a tag, the first one the best
        best = torch.full((batch, tags, count), -torch.inf, dtype=torch.float64, device=scores.device)
        best[:, :, 0] = start + own[0]
        back = torch.zeros(steps, batch, tags, count, dtype=torch.long, device=scores.device)
        unmoved = torch.arange(tags, device=scores.device)[:, None] * count + torch.arange(count, device=scores.device)
        for step in range(1, steps):
            ways = (best[:, :, None, :] + transitions[None, :, :, None]).permute(0, 2, 1, 3).flatten(2)
            found, place = ways.topk(count, dim=2) if count > 1 else _first(ways)
            inside = (step < lengths)[:, None, None]
            best = torch.where(inside, found + own[step][:, :, None], best)
            back[step] = torch.where(inside, place, unmoved)
        last = (best + end[:, None]).flatten(1)
        found, place = last.topk(count, dim=1)
        paths = torch.zeros(count, steps, batch, dtype=torch.long, device=scores.device)
        for step in range(steps - 1, -1, -1):
            paths[:, step] = (place // count).T * (step < lengths)
            place = back[step].flatten(1).gather(1, place)
        total = _Chain(own, start, transitions, end, lengths).total
        chance = found - total[:, None]
        return paths, torch.where(chance < _NEVER / 2, -torch.inf, chance).T.to(scores.dtype)

    def _weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of the first tag, of pairs and of the last one, in float64."""
        weights = self.start.double(), self.transitions.double(), self.end.double()
        if self.allowed is None:
            return weights
        places = self.allowed[-1, :-1], self.allowed[:-1, :-1], self.allowed[:-1, -1]
        start, transitions, end = (w.masked_fill(~m, _NEVER) for w, m in zip(weights, places, strict=True))
        return start, transitions, end

    def _score(self, scores: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        start, transitions, end = self._weights()
        inside = torch.arange(len(tags), device=tags.device)[:, None] < lengths
        tags = tags * inside
        own = (scores.gather(2, tags[:, :, None])[:, :, 0] * inside).sum(0)
        pairs = (transitions[tags[:-1], tags[1:]] * inside[1:]).sum(0)
        last = tags.gather(0, (lengths - 1)[None])[0]
        return own + pairs + start[tags[0]] + end[last]

    def _lengths(self, scores: Tensor, lengths: Tensor | None) -> Tensor:
        if scores.dim() != 3 or scores.shape[2] != self.tags or not scores.shape[0]:
            raise ShapeError(f"`scores` is {tuple(scores.shape)}; wanted (time, batch, {self.tags}).")
        if lengths is None:
            return torch.full((scores.shape[1],), scores.shape[0], device=scores.device)
        if lengths.shape != scores.shape[1:2] or int(lengths.min()) < 1 or int(lengths.max()) > scores.shape[0]:
            raise ShapeError(
                f"`lengths` should be {scores.shape[1]} numbers from 1 to {scores.shape[0]}, "
                f"got {lengths.tolist()[:8]}."
            )
        return lengths.to(scores.device)


class _Chain:
    """The forward sums over all sequences, each step scaled to 1."""

    def __init__(self, scores: Tensor, start: Tensor, transitions: Tensor, end: Tensor, lengths: Tensor) -> None:
        steps = len(scores)
        self.lengths = lengths
        self.inside = (torch.arange(steps, device=scores.device)[:, None] < lengths)[:, :, None]
        highest = scores.amax(2, keepdim=True)
        self.steps = (scores - highest).exp()
        self.most = transitions.max()
        self.pairs = (transitions - self.most).exp()
        self.last = (end - end.max()).exp()
        now = self.steps[0] * (start - start.max()).exp()
        sums = [now.sum(1, keepdim=True)]
        alphas = [now / sums[0]]
        for step in range(1, steps):
            now = (alphas[-1] @ self.pairs).mul_(self.steps[step])
            size = now.sum(1, keepdim=True)
            inside = self.inside[step]
            sums.append(torch.where(inside, size, 1.0))
            alphas.append(torch.where(inside, now / size, alphas[-1]))
        self.alphas, self.sums = torch.stack(alphas), torch.stack(sums)
        self.closing = (alphas[-1] * self.last).sum(1)
        pairs = (lengths - 1).to(scores.dtype) * self.most
        self.total = (
            self.closing.log() + end.max() + start.max() + pairs
            + (self.sums.log() + highest * self.inside).sum((0, 2))
        )  # fmt: skip

    def marginals(self, weight: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Expected counts: of tags by step (time, batch, tags), of first tags, of pairs and of last tags.

        weight: (batch), what each sequence counts.
        """
        steps = len(self.alphas)
        one = torch.ones_like(self.closing) if weight is None else weight
        betas = [(self.last / self.closing[:, None]) * one[:, None]]
        pairs = self.pairs.T.contiguous()
        ahead: list[Tensor] = []
        for step in range(steps - 1, 0, -1):
            here = betas[-1] * self.steps[step] / self.sums[step]
            inside = self.inside[step]
            ahead.append(torch.where(inside, here, 0.0))
            betas.append(torch.where(inside, here @ pairs, betas[-1]))
        beta = torch.stack(betas[::-1])
        unary = self.alphas * beta * self.inside
        counted = torch.zeros_like(self.pairs)
        if ahead:
            following = torch.stack(ahead[::-1]).flatten(0, 1)
            counted = self.pairs * (self.alphas[:-1].flatten(0, 1).T @ following)
        final = unary.gather(0, (self.lengths - 1)[None, :, None].expand(1, -1, unary.shape[2]))[0]
        return unary, unary[0].sum(0), counted, final.sum(0)


class _LogSum(torch.autograd.Function):
    """The logarithm of the sum over all sequences of the exponential of their score, (batch)."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, start: Tensor, transitions: Tensor, end: Tensor, lengths: Tensor) -> Tensor:
        ctx.chain = _Chain(scores, start, transitions, end, lengths)
        total: Tensor = ctx.chain.total
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
        return (*ctx.chain.marginals(weight), None)


def _first(ways: Tensor) -> tuple[Tensor, Tensor]:
    found, place = ways.max(2, keepdim=True)
    return found, place
