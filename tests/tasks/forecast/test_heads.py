"""What heads say of a step, against torch's own distributions and the definition of quantiles."""

import numpy as np
import pytest
import torch
from torch import distributions
from torch.nn.functional import softplus

from ricorso.errors import UsageError
from ricorso.tasks.forecast.heads import head_for, quantiles_between, quantiles_of
from ricorso.tasks.forecast.scaling import Scale

LEVELS = (0.1, 0.5, 0.9)


@pytest.fixture
def scale() -> Scale:
    return Scale(torch.zeros(3, 1), torch.tensor([[1.0], [5.0], [40.0]]), log=False)


def statement(size: int) -> torch.Tensor:
    return torch.randn(3, 4, size, generator=torch.Generator().manual_seed(0))


def of_torch(loss: str, raw: torch.Tensor, scale: Scale) -> distributions.Distribution:
    spread = softplus(raw[..., 1]) + 1e-3
    if loss == "gaussian":
        return distributions.Normal(raw[..., 0], spread)
    if loss == "student_t":
        return distributions.StudentT(2 + softplus(raw[..., 2]), raw[..., 0], spread)
    mean = (softplus(raw[..., 0]) + 1e-4) * scale.size
    rounds = scale.size.sqrt() / (softplus(raw[..., 1]) + 1e-4)
    return distributions.NegativeBinomial(rounds, mean / (mean + rounds))


@pytest.mark.parametrize("loss", ["gaussian", "student_t", "negative_binomial"])
def test_the_loss_is_the_negative_log_likelihood(loss: str, scale: Scale) -> None:
    head = head_for(loss, LEVELS)
    raw = statement(head.size)
    target = torch.tensor([[0.0, 1.0, 2.0, 3.0]]).expand(3, 4)
    # counts are seen in their own units
    value = target * scale.size if loss == "negative_binomial" else target
    expected = -of_torch(loss, raw, scale).log_prob(value)
    torch.testing.assert_close(head.loss(raw, target, scale), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["gaussian", "student_t", "negative_binomial"])
def test_drawn_values_have_the_mean_and_spread_of_the_distribution(loss: str, scale: Scale) -> None:
    head = head_for(loss, LEVELS)
    raw, many = statement(head.size), 40_000
    wide = raw.repeat(1, many, 1)
    drawn = head.sample(wide, scale, torch.Generator().manual_seed(1)).view(3, many, 4)
    expected = of_torch(loss, raw, scale)
    unit = scale.size if loss == "negative_binomial" else torch.ones(3, 1)
    error = expected.stddev / unit / many**0.5
    assert (((drawn.mean(1) - expected.mean / unit) / error).abs() < 5).all()
    if loss == "student_t":
        # the variance of heavy tails is itself uncertain; the quartiles are not
        known = expected.sample((many,))
        torch.testing.assert_close(drawn.quantile(0.75, 1), known.quantile(0.75, 0), rtol=0.05, atol=0.05)
    else:
        torch.testing.assert_close(drawn.std(1), expected.stddev / unit, rtol=0.05, atol=1e-3)


def test_the_pinball_loss_is_smallest_at_the_quantile() -> None:
    head = head_for("quantile", LEVELS)
    scale = Scale(torch.zeros(1, 1), torch.ones(1, 1), log=False)
    values = torch.from_numpy(np.random.default_rng(0).normal(size=4001).astype(np.float32))[None]

    def loss(at: torch.Tensor) -> float:
        return float(head.loss(at.expand(1, 4001, 3), values, scale).mean())

    best = values[0].quantile(torch.tensor(LEVELS))
    for shift in (-0.1, 0.1):
        for place in range(3):
            moved = best.clone()
            moved[place] += shift
            assert loss(moved) > loss(best)


def test_quantiles_of_paths_are_numpys() -> None:
    paths = torch.randn(2, 31, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = np.quantile(paths.numpy(), LEVELS, axis=1).transpose(1, 2, 0)
    np.testing.assert_allclose(quantiles_of(paths, LEVELS).numpy(), expected)


def test_quantiles_between_two_are_those_of_a_normal_one() -> None:
    normal = distributions.Normal(torch.tensor(3.0, dtype=torch.float64), 2.0)
    values = normal.icdf(torch.tensor(LEVELS, dtype=torch.float64))
    found = quantiles_between(values, LEVELS, (0.1, 0.25, 0.6, 0.9))
    expected = normal.icdf(torch.tensor([0.1, 0.25, 0.6, 0.9], dtype=torch.float64))
    torch.testing.assert_close(found, expected)
    with pytest.raises(UsageError, match=r"quantile 0.95 is outside of what was learnt, 0.1 to 0.9"):
        quantiles_between(values, LEVELS, (0.95,))
