import math

import pytest
import torch

from ricorso.exchange.compare import differences, worst
from ricorso.exchange.run import Results


def apart(ours, theirs, tolerance=None):
    return worst(differences(Results({"output": ours}, {}), Results({"output": theirs}, {}), tolerance))


def test_differences_are_relative_to_the_largest_value():
    found = apart(torch.tensor([1.0, 100.0]), torch.tensor([1.001, 100.0]))
    assert found.value == pytest.approx(1e-5, rel=1e-2)
    assert found.ok
    assert not apart(torch.tensor([1.0, 100.0]), torch.tensor([1.1, 100.0])).ok
    assert apart(torch.tensor([1.0, 100.0]), torch.tensor([1.1, 100.0]), 0.01).ok
    assert str(apart(torch.tensor([0.0]), torch.tensor([2.0]))) == (
        "output differs by 1.0e+00 of its largest value (allowed: 1e-04)"
    )


@pytest.mark.parametrize(("dtype", "step"), [(torch.float64, 1e-8), (torch.float32, 1e-3), (torch.bfloat16, 0.25)])
def test_each_element_type_has_its_tolerance(dtype, step):
    one = torch.ones(3, dtype=dtype)
    assert apart(one, one).ok
    assert not apart(one + step, one).ok
    assert apart(one + step / 100, one).ok


def test_not_a_number_and_infinity_equal_themselves_only():
    odd = torch.tensor([math.nan, math.inf, -math.inf, 1.0])
    assert apart(odd, odd.clone()).value == 0
    for place, value in ((0, 1.0), (1, -math.inf), (2, 0.0), (3, math.nan)):
        other = odd.clone()
        other[place] = value
        assert not apart(other, odd).ok


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (torch.zeros(2, 3), torch.zeros(3, 2), r"output has shape \(2, 3\) and had \(3, 2\)"),
        (torch.zeros(2).double(), torch.zeros(2), "output is torch.float64 and was torch.float32"),
        (torch.tensor([1, 2]), torch.tensor([1, 3]), "output has 1 other elements"),
        (3, 4, "output is 3 and was 4"),
        ("a", "b", "output is 'a' and was 'b'"),
    ],
)
def test_what_is_no_number_is_told(ours, theirs, said):
    found = apart(ours, theirs)
    assert not found.ok
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(str(found))


def test_equal_things_and_missing_ones():
    for value in (3, "a", None, 0.5, True, torch.tensor([1, 2])):
        found = apart(value, value)
        assert found is None or found.ok
    missing = worst(differences(Results({}, {}), Results({"output": torch.zeros(1)}, {})))
    assert "in one of the two only" in str(missing)


def test_gradients_that_are_zero_but_for_rounding_do_not_count():
    wanted = {"big": torch.ones(3), "tiny": torch.full((3,), 1e-9), "none": None}
    found = {"big": torch.ones(3), "tiny": torch.full((3,), -3e-9), "none": None}
    (big, tiny) = differences(Results({}, found), Results({}, wanted))
    assert big.ok
    assert tiny.ok
    assert tiny.is_gradient
    found["tiny"] = torch.full((3,), 1e-5)
    assert str(worst(differences(Results({}, found), Results({}, wanted)))).startswith("the gradient of tiny differs")


def test_a_gradient_in_one_of_the_two_only_must_be_zero():
    assert worst(differences(Results({}, {"w": None}), Results({}, {"w": torch.zeros(2)}))).ok
    assert not worst(differences(Results({}, {"w": None}), Results({}, {"w": torch.ones(2)}))).ok
    assert not worst(differences(Results({}, {"w": torch.ones(2)}), Results({}, {"v": torch.ones(2), "w": None}))).ok
