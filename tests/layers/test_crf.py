"""The CRF against sums over all sequences, one by one."""

import itertools
import math

import pytest
import torch

from ricorso.errors import ShapeError, UsageError
from ricorso.layers.crf import CRF

STEPS, BATCH, TAGS = 4, 3, 3
LENGTHS = torch.tensor([4, 1, 3])


@pytest.fixture(params=[False, True], ids=["all pairs", "some pairs"])
def crf(request: pytest.FixtureRequest) -> CRF:
    allowed = None
    if request.param:
        allowed = torch.ones(TAGS + 1, TAGS + 1, dtype=torch.bool)
        allowed[0, 1] = allowed[TAGS, 2] = allowed[1, TAGS] = False
    made = CRF(TAGS, allowed)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(generator=random)
    return made


@pytest.fixture
def scores() -> torch.Tensor:
    return 2 * torch.randn(STEPS, BATCH, TAGS, generator=torch.Generator().manual_seed(1))


def sequences(crf: CRF, scores: torch.Tensor, row: int) -> dict[tuple[int, ...], float]:
    """The score of every allowed sequence of one row."""
    start, pair_scores, end = (weight.detach() for weight in (crf.start, crf.transitions, crf.end))
    found = {}
    for tags in itertools.product(range(TAGS), repeat=int(LENGTHS[row])):
        pairs = [(TAGS, tags[0]), *itertools.pairwise(tags), (tags[-1], TAGS)]
        if crf.allowed is not None and not all(bool(crf.allowed[pair]) for pair in pairs):
            continue
        total = float(start[tags[0]] + end[tags[-1]])
        total += sum(float(scores[step, row, tag]) for step, tag in enumerate(tags))
        total += sum(float(pair_scores[pair]) for pair in itertools.pairwise(tags))
        found[tags] = total
    return found


def log_sum(values: list[float]) -> float:
    return math.log(sum(math.exp(value) for value in values))


@torch.no_grad()
def test_the_likelihood_is_the_share_in_all_sequences(crf: CRF, scores: torch.Tensor) -> None:
    for row in range(BATCH):
        every = sequences(crf, scores, row)
        total = log_sum(list(every.values()))
        for tags, score in every.items():
            padded = torch.zeros(STEPS, BATCH, dtype=torch.long)
            padded[:, row] = torch.tensor([*tags, *[2] * (STEPS - len(tags))])
            # rows that are not asked for must be allowed too
            found = crf.log_likelihood(scores, padded, LENGTHS)[row]
            assert float(found) == pytest.approx(score - total, abs=1e-5)


def test_marginals_are_those_of_all_sequences(crf: CRF, scores: torch.Tensor) -> None:
    found = crf.marginals(scores, LENGTHS)
    for row in range(BATCH):
        every = sequences(crf, scores, row)
        total = log_sum(list(every.values()))
        expected = torch.zeros(STEPS, TAGS)
        for tags, score in every.items():
            for step, tag in enumerate(tags):
                expected[step, tag] += math.exp(score - total)
        torch.testing.assert_close(found[:, row], expected, atol=1e-6, rtol=1e-5)


def test_the_best_sequences_are_those_of_an_exhaustive_search(crf: CRF, scores: torch.Tensor) -> None:
    paths, chances = crf.best(scores, LENGTHS, count=4)
    assert torch.equal(paths[0], crf.decode(scores, LENGTHS))
    for row in range(BATCH):
        every = sequences(crf, scores, row)
        total = log_sum(list(every.values()))
        ranked = sorted(every, key=lambda tags: -every[tags])[:4]
        for place, tags in enumerate(ranked):
            assert paths[place, : len(tags), row].tolist() == list(tags)
            assert not paths[place, len(tags) :, row].any()
            assert float(chances[place, row]) == pytest.approx(every[tags] - total, abs=1e-5)
        assert (chances[len(ranked) :, row] == -math.inf).all()


def test_gradients_are_exact() -> None:
    torch.manual_seed(0)
    crf = CRF(TAGS).double()
    scores = torch.randn(STEPS, BATCH, TAGS, dtype=torch.float64, requires_grad=True)
    tags = torch.randint(TAGS, (STEPS, BATCH))
    names = [name for name, _ in crf.named_parameters()]
    weights = [torch.randn_like(weight, requires_grad=True) for weight in crf.parameters()]

    def likelihood(scores: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        def call() -> torch.Tensor:
            return crf.log_likelihood(scores, tags, LENGTHS)

        own = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(_Call(crf, tags), {f"crf.{k}": v for k, v in own.items()}, (scores,))

    assert torch.autograd.gradcheck(likelihood, (scores, *weights))


class _Call(torch.nn.Module):
    def __init__(self, crf: CRF, tags: torch.Tensor) -> None:
        super().__init__()
        self.crf, self.tags = crf, tags

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return self.crf.log_likelihood(scores, self.tags, LENGTHS)


def test_large_scores_and_long_sequences_stay_finite() -> None:
    crf = CRF(5)
    scores = 300 * torch.randn(2000, 2, 5, generator=torch.Generator().manual_seed(0))
    scores.requires_grad_()
    tags = crf.decode(scores)
    likelihood = crf.log_likelihood(scores, tags)
    likelihood.sum().backward()
    assert likelihood.isfinite().all()
    assert (likelihood <= 1e-3).all()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("value", [torch.zeros(4, 3), torch.zeros(4, 3, 2), torch.zeros(0, 3, 3)])
def test_scores_of_another_shape(value: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match=r"wanted \(time, batch, 3\)"):
        CRF(3).decode(value)


@pytest.mark.parametrize("lengths", [[1, 2], [0, 1, 2], [1, 2, 5]])
def test_lengths_that_do_not_fit(lengths: list[int], scores: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match="3 numbers from 1 to 4"):
        CRF(3).marginals(scores, torch.tensor(lengths))


def test_other_wrong_use(scores: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="at least 1 tag"):
        CRF(0)
    with pytest.raises(ShapeError, match="wanted \\(4, 4\\) of bool"):
        CRF(3, torch.ones(3, 3))
    with pytest.raises(ShapeError, match="`tags` is"):
        CRF(3).log_likelihood(scores, torch.zeros(3, 4, dtype=torch.long))
    with pytest.raises(UsageError, match="count must be 1 or more"):
        CRF(3).best(scores, count=0)
