import pytest
import torch

from ricorso.tasks.forecast.scaling import METHODS, scale_of


def windows() -> torch.Tensor:
    return torch.tensor([[10.0, 20.0, float("nan"), 60.0], [5.0, 5.0, 5.0, 5.0], [-1.0, 1.0, 3.0, float("nan")]])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("difference", [True, False])
def test_scaling_is_undone_exactly_and_keeps_what_is_missing(method: str, difference: bool) -> None:
    past = windows()
    scale = scale_of(past, method, difference, log=False)
    there = scale.apply(past)
    assert torch.equal(there.isnan(), past.isnan())
    assert bool(there.nan_to_num(0).isfinite().all())
    torch.testing.assert_close(scale.undo(there), past, equal_nan=True)
    wide = there.unsqueeze(-1).expand(-1, -1, 2)
    torch.testing.assert_close(scale.undo(wide)[..., 1], past, equal_nan=True)


def test_the_mean_size_the_spread_and_the_quartiles_of_what_is_known() -> None:
    past = windows()
    assert scale_of(past, "mean", False, False).apply(past)[0, 0] == pytest.approx(10 / 30)
    standard = scale_of(past, "standard", False, False).apply(past)[0]
    known = standard[~standard.isnan()]
    assert float(known.mean()) == pytest.approx(0, abs=1e-6)
    assert float(known.square().mean()) == pytest.approx(1)
    robust = scale_of(past, "robust", False, False)
    assert float(robust.centre[0]) == 20
    assert float(robust.size[0]) == 25


def test_the_last_value_that_is_known_is_taken_away() -> None:
    past = windows()
    there = scale_of(past, "mean", True, False).apply(past)
    assert float(there[0, 3]) == 0
    assert float(there[2, 2]) == 0
    assert float(there[2, 0]) < 0


def test_a_constant_series_is_not_blown_up() -> None:
    past = torch.full((1, 6), 5.0)
    for method in METHODS:
        assert float(scale_of(past, method, False, False).apply(past + 1).abs().max()) < 10


def test_logarithms_make_ratios_of_distances() -> None:
    past = torch.tensor([[1.0, 10.0, 100.0]])
    scale = scale_of(past, "none", True, log=True)
    torch.testing.assert_close(scale.apply(past), torch.tensor([[-2.0, -1.0, 0.0]]) * torch.log(torch.tensor(10.0)))
    torch.testing.assert_close(scale.undo(torch.zeros(1, 2)), torch.full((1, 2), 100.0))
