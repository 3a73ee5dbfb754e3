import math

import pytest
import torch

from ricorso import check
from ricorso.cells import CATALOGUE
from ricorso.check import Finding, Report, check_cell
from ricorso.equations import (
    Abs,
    Cell,
    Noise,
    Rate,
    exp,
    gates,
    inputs,
    log,
    maximum,
    normalise,
    parameters,
    products,
    relu,
    sigmoid,
    signals,
    states,
    step,
    tanh,
    where,
)
from ricorso.errors import CellError

a, b = gates("a b")
h, c = states("h c")
(i,), (y,), (w,), (dt,) = inputs("i"), products("y"), parameters("w"), signals("dt")
rate, noise = Rate("rate", real=True), Noise("noise", real=True)

KINKED = Cell("kinked", (a, b), (h,), {h: maximum(relu(a), Abs(h)) / 2 + where(b, tanh(a), b / 4) - step(a) * h / 8})


def small(cell, **options):
    """With 1 and 7 units, which are tested always, and without the sizes that threads share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "SHARED", ())
        return check_cell(cell, hidden_size=7, steps=50, **options)


def failed(report):
    return [finding.name for finding in report.findings if not finding.ok]


@pytest.mark.parametrize("name", ["elman_relu", "indrnn"])
def test_a_cell_of_the_catalogue_passes(name):
    report = check_cell(CATALOGUE[name], hidden_size=8, steps=50)
    assert report.ok
    assert failed(report) == []
    shown = str(report)
    assert shown.startswith(f"{name}: every test passed")
    assert len(shown.splitlines()) == 11
    assert {"outputs", "final states", "gradients"} <= {f.name.split(": ")[-1] for f in report.findings}


def test_kinks_are_no_failure():
    assert failed(small(KINKED)) == []


def test_everything_a_cell_may_have_is_tested():
    cell = Cell(
        "rich",
        gates=(a, i, y),
        states=(h, c),
        parameters=(w,),
        signals=(dt,),
        product_of={y: tanh(c.new) * sigmoid(i)},
        update={c: sigmoid(a) * c + w * i * dt, h: (1 - rate) * tanh(y + normalise(a)) + rate * h},
        heads=2,
        start={w: 0.5},
        defaults={rate: 0.25},
    )
    assert failed(check_cell(cell, hidden_size=8, steps=50)) == []


def test_a_cell_with_noise_of_its_own_is_tested_with_that_noise():
    cell = Cell("noisy", (a,), (h,), {h: where(noise - rate, tanh(a), h)}, defaults={rate: 0.3})
    report = small(cell)
    assert report.ok
    assert "stream against sequence" not in [finding.name for finding in report.findings]


def test_a_cell_that_leaves_the_numbers_is_refused():
    growing = Cell("growing", (a,), (h,), {h: exp(2 + h) + a})
    with pytest.raises(CellError, match=r"(?s)'growing' failed a test.*FAIL  share of results that are not finite"):
        small(growing)


def test_a_value_that_is_not_a_number_is_refused():
    report = small(Cell("logarithm", (a,), (h,), {h: log(a)}), raise_on_failure=False)
    assert not report.ok
    assert report.to_json()["findings"][0]["difference"] is None


class Doubled(torch.autograd.Function):
    """Passes a value on and doubles its gradient."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return 2 * gradient


def broken(change):
    """Recurrent with `change` applied to its output."""

    class Broken(check.Recurrent):
        def forward(self, *arguments, **signals):
            output, last = super().forward(*arguments, **signals)
            return change(output), last

    return Broken


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (Doubled.apply, {"gradients against difference quotients", "llvm path: gradients"}),
        (lambda x: x + 1e-3, {"llvm path: outputs", "stream against sequence"}),
        (lambda x: x * math.nan, {"llvm path: outputs", "share of results that are not finite"}),
    ],
)
def test_a_layer_that_computes_something_else_is_noticed(monkeypatch, change, names):
    monkeypatch.setattr(check, "Recurrent", broken(change))
    assert names <= set(failed(small(CATALOGUE["elman_tanh"], raise_on_failure=False)))


def test_a_lossy_store_is_noticed(monkeypatch):
    def other(_):
        return Cell("elman_tanh", (a,), (h,), {h: tanh(a) * 0.999})

    monkeypatch.setattr(check.portable, "from_json", other)
    assert failed(small(CATALOGUE["elman_tanh"], raise_on_failure=False)) == ["stored as JSON and read again"]


def test_torch_is_left_as_it_was():
    torch.manual_seed(3)
    wanted = torch.rand(3)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    small(CATALOGUE["elman_tanh"])
    assert torch.equal(torch.rand(3), wanted)
    assert torch.get_num_threads() == threads


def test_what_is_not_a_number_is_no_pass():
    assert not Report("x", [Finding("n", "d", math.nan, 1.0)]).ok
    assert Report("x", [Finding("n", "d", 0.0, 0.0)]).ok
