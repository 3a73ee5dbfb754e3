import pytest
import sympy as sp

from ricorso.equations import Cell, gates, sigmoid, states, tanh
from ricorso.errors import CellError

a, b = gates("a b")
h, c = states("h c")


def test_split_gates_get_a_column_of_their_own():
    cell = Cell("two", gates=(a, b), states=(h,), update={h: sigmoid(a) * tanh(b.x + b.u * h)})
    assert cell.saved_columns == ("a", "x_b", "u_b")


def test_a_sum_beside_its_parts_is_written_out():
    cell = Cell("mixed", gates=(a,), states=(h,), update={h: tanh(a) + a.x})
    assert cell.equations[0][1] == tanh(a.x + a.u) + a.x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cell("x", gates=(a,), states=(h,), update={h: tanh(a) + sp.Symbol("lost")}), "lost"),
        (lambda: Cell("x", gates=(a,), states=(h, c), update={h: tanh(a)}), "no equation for its state 'c'"),
        (lambda: Cell("x", gates=(a, b), states=(h,), update={h: tanh(a)}), "Gate 'b' .* never used"),
        (lambda: Cell("x", gates=(a,), states=(h,), update={h: sp.sin(a)}), r"sin\(a\)"),
        (lambda: Cell("x", gates=(a, a), states=(h,), update={h: tanh(a)}), "'a' twice"),
        (lambda: Cell("x", gates=(a,), states=(h, c), update={h: tanh(a) * c.new, c: c}), "c_new"),
        (lambda: Cell("x", gates=(a,), states=(h,), update={h: tanh(a), c: c}), "not one of its states"),
        (lambda: Cell("no name", gates=(a,), states=(h,), update={h: tanh(a)}), "identifier"),
        (lambda: Cell("x", gates=(), states=(h,), update={h: h}), "at least one gate"),
        (lambda: Cell("x", gates=(a,), states=(h,), update={h: tanh(a) * sp.oo}), "outside the vocabulary"),
        (lambda: Cell("x", gates=(a,), states=(h,), update={h: 2**a}), "outside the vocabulary"),
    ],
)
def test_a_mistake_is_named(make, message):
    with pytest.raises(CellError, match=message):
        make()
