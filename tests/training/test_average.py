import torch
from torch import nn

from ricorso.training.average import WeightAverage


def set_weight(model: nn.Linear, value: float) -> None:
    with torch.no_grad():
        model.weight.fill_(value)


def test_the_average_follows_with_its_decay_once_it_has_history() -> None:
    model = nn.Linear(1, 1, bias=False)
    set_weight(model, 0.0)
    average = WeightAverage(model, 0.5)
    set_weight(model, 1.0)
    average.update(4000)
    torch.testing.assert_close(average.weights()["weight"], torch.tensor([[1 - 0.5**4]]))


def test_the_first_weights_do_not_linger() -> None:
    model = nn.Linear(1, 1, bias=False)
    set_weight(model, 100.0)
    average = WeightAverage(model, 0.9999)
    set_weight(model, 1.0)
    for step in range(1, 401):
        average.update(step)
    assert abs(float(average.weights()["weight"]) - 1.0) < 0.01


def test_applied_weights_are_taken_back_bit_for_bit() -> None:
    model = nn.Linear(3, 2)
    average = WeightAverage(model, 0.9)
    with torch.no_grad():
        model.weight.add_(1 / 3)
    own = model.weight.detach().clone()
    mean = average.weights()["weight"]
    with average.applied():
        assert torch.equal(model.weight, mean)
        assert not torch.equal(model.weight, own)
    assert torch.equal(model.weight, own)


def test_decay_zero_is_the_weights_themselves() -> None:
    model = nn.Linear(1, 1)
    average = WeightAverage(model, 0.0)
    set_weight(model, 7.0)
    average.update(1)
    assert float(average.weights()["weight"]) == 7.0


def test_evenly_all_weights_after_the_beginning_count_alike() -> None:
    model = nn.Linear(1, 1, bias=False)
    set_weight(model, 50.0)
    average = WeightAverage(model, 0.0, evenly=True)
    average.update(4)
    assert float(average.weights()["weight"]) == 50.0
    set_weight(model, 1.0)
    average.begin(8)
    for step, value in ((12, 3.0), (16, 5.0), (20, 7.0)):
        set_weight(model, value)
        average.update(step)
    assert float(average.weights()["weight"]) == 4.0
    with average.applied():
        assert float(model.weight.detach()) == 4.0
    assert float(model.weight.detach()) == 7.0
