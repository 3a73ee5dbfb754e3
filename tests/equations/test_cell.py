import pytest
import sympy as sp

from ricorso.equations import (
    HORIZON,
    Cell,
    Noise,
    Rate,
    draws,
    gates,
    inputs,
    log,
    mean,
    parameters,
    products,
    scalars,
    sigmoid,
    signals,
    states,
    tanh,
)
from ricorso.errors import CellError

a, b = gates("a b")
(i,), (y, z) = inputs("i"), products("y z")
h, c = states("h c")
w, q = parameters("w q")
(dt,), (u,) = signals("dt"), draws("u")
rate, noise = Rate("rate", real=True), Noise("noise", real=True)


def cell(update, gates=(a,), states=(h,), **others):
    return Cell("x", gates=gates, states=states, update=update, **others)


def test_split_gates_get_a_column_of_their_own():
    made = cell({h: sigmoid(a) * tanh(b.x + b.u * h)}, gates=(a, b))
    assert made.saved_columns == ("a", "x_b", "u_b")


def test_a_sum_beside_its_parts_is_written_out():
    made = cell({h: tanh(a) + a.x})
    assert made.equations[0][1] == tanh(a.x + a.u) + a.x


def test_leaves_of_every_kind_of_gate_come_in_order():
    made = cell({h: a.x * a.u + b + i + y}, gates=(a, y, i, b), product_of={b: h * sigmoid(i), y: h})
    assert [str(leaf) for leaf in made.leaves] == ["x_a", "i", "b", "u_a", "y"]
    assert [made.recurrent_leaf(gate) for gate in made.product_gates] == [3, 4, 2]
    assert made.vectors == (h, h * sigmoid(i))


def test_a_gate_may_multiply_a_new_state_or_another_gate():
    made = cell({c: tanh(a), h: tanh(b)}, gates=(a, b), states=(h, c), product_of={b: sigmoid(a.x) * c.new})
    assert made.vector(b) == sigmoid(a.x) * c.new


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cell({h: tanh(a) + sp.Symbol("lost")}), "'h' of cell 'x' uses 'lost'.* Declare it"),
        (lambda: cell({h: tanh(a) * w}), "uses 'w'.* Declare it"),
        (lambda: cell({h: tanh(a) * dt}), "uses 'dt'.* Declare it"),
        (lambda: cell({h: tanh(a) * rate}), "uses 'rate'.* Declare it"),
        (lambda: cell({h: tanh(i.x)}, gates=(i,)), "uses 'x_i'"),
        (lambda: cell({h: tanh(a)}, states=(h, c)), "no equation for its state 'c'; add one"),
        (lambda: cell({h: tanh(a)}, gates=(a, b)), "Gate 'b' .* never used; use it or remove it"),
        (lambda: cell({h: tanh(a)}, parameters=(w,)), "Parameter 'w' .* never used"),
        (lambda: cell({h: tanh(a)}, signals=(dt,)), "Signal 'dt' .* never used"),
        (lambda: cell({h: sp.sin(a)}), r"sin\(a\).* outside the vocabulary.*sigmoid"),
        (lambda: cell({h: tanh(a) * sp.oo}), "'oo', which is no finite real number"),
        (lambda: cell({h: tanh(a) * sp.I}), "no finite real number"),
        (lambda: cell({h: tanh(a) * sigmoid(sp.Integer(2))}), r"'sigmoid\(2\)'.* write its value"),
        (lambda: cell({h: tanh(a) * 10**400}), "no finite real number"),
        (lambda: cell({h: 2**a}), r"'2\*\*a' .* outside the vocabulary"),
        (lambda: cell({h: "tanh(a)"}), r"'tanh\(a\)' where an expression"),
        (lambda: cell({h: True}), "holds True"),
        (lambda: cell([tanh(a)]), "`update` .* must map"),
        (lambda: cell({h: tanh(a)}, gates=(a, a)), "'a' twice"),
        (lambda: cell({h: tanh(a) * gates("h")[0]}, gates=(a, *gates("h"))), "'h' twice"),
        (lambda: cell({h: tanh(a.x) * a.u + i}, gates=(a, *inputs("x_a"), i)), "'x_a' twice"),
        (lambda: cell({h: a * w * Noise("w", real=True)}, parameters=(w,)), "'w' twice"),
        (lambda: cell({h: a * gates("u")[0]}, gates=(a, *gates("u")), start={a: u}), "'u' twice"),
        (lambda: cell({h: a * parameters("horizon")[0]}, parameters=parameters("horizon")), "'horizon' twice"),
        (lambda: cell({h: a * parameters("bias_a")[0]}, parameters=parameters("bias_a")), "'bias_a'.* Rename it"),
        (lambda: cell({h: a * parameters("a.b")[0]}, parameters=parameters("a.b")), r"'a\.b'.* Rename it"),
        (lambda: cell({h: tanh(a) * c.new, c: c}, states=(h, c)), "uses 'c_new'.* mind the order"),
        (lambda: cell({h: tanh(a), c: c}), "updates 'c', which is not one of its states"),
        (lambda: Cell("no name", gates=(a,), states=(h,), update={h: tanh(a)}), "'no name' is not an identifier"),
        (lambda: cell({h: h}, gates=()), "at least one gate"),
        (lambda: cell({h: tanh(a)}, gates=(sp.Symbol("a"),)), r"'a' among the gates .* `gates\(\"a\"\)`"),
        (lambda: cell({h: tanh(a)}, states=(a,)), "'a' among the states"),
        (lambda: cell({h: tanh(a)}, product_of={b: h}), "says what 'b' multiplies, .* not one of its gates"),
        (lambda: cell({h: tanh(a) * i}, gates=(a, i), product_of={i: h}), "Gate 'i' .* sees the input alone"),
        (lambda: cell({h: tanh(a)}, product_of={a: h * a}), "Gate 'a' .* depends on itself"),
        (lambda: cell({h: a * b}, gates=(a, b), product_of={a: h * b, b: h * a}), "Gate '[ab]' .* depends on itself"),
        (lambda: cell({h: tanh(a)}, product_of={a: h.new}), "uses 'h_new'"),
        (lambda: cell({h: tanh(a)}, product_of={a: sp.sin(h)}), r"sin\(h\).* outside the vocabulary"),
        (lambda: cell({h: tanh(a)}, product_of={a: q * h}), "uses 'q'.* Declare it"),
        (lambda: cell({h: tanh(a)}, heads=0), "heads must be a whole number of at least 1, not 0"),
        (lambda: cell({h: tanh(a)}, heads=True), "heads must be"),
        (lambda: cell({h: tanh(a)}, start={w: 1}), "`start` .* sets 'w', which is neither a gate nor a parameter"),
        (lambda: cell({h: tanh(a)}, long_start={w: 1}), "`long_start` .* sets 'w'"),
        (lambda: cell({h: tanh(a)}, start={a: h}), "sets 'a' from 'h'"),
        (lambda: cell({h: a * w * q}, parameters=(w, q), start={w: q, q: 1}), "sets 'w' from 'q'"),
        (lambda: cell({h: a}, start={a: mean(u)}), "uses a mean"),
        (lambda: cell({h: a}, start={a: sp.sin(u)}), r"sin\(u\)"),
        (lambda: cell({h: a}, recurrent_start="zero"), "recurrent_start is 'zero'; it may be uniform, orthogonal"),
        (lambda: cell({h: a * rate}, defaults={rate: "much"}), "Rate 'rate' .* 'much' by default"),
        (lambda: cell({h: a * rate}, defaults={rate: float("nan")}), "finite number"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(make, message):
    with pytest.raises(CellError, match=message):
        make()


def test_starting_values_may_use_draws_the_horizon_and_parameters_set_before():
    made = cell({h: a * w + q}, parameters=(w, q), start={w: u, q: w * 2, a: 1}, long_start={a: log(HORIZON)})
    assert made.start[q] == 2 * w


def test_many_paths_through_products_are_checked_in_short_time():
    chain = gates(" ".join(f"k{n}" for n in range(60)))
    vectors = {k: h * near * far for k, near, far in zip(chain[:-2], chain[1:-1], chain[2:], strict=True)}
    assert len(cell({h: chain[0]}, gates=chain, product_of=vectors).vectors) == 59


def test_scalars_and_noise_are_told_apart():
    (s,) = scalars("s")
    made = cell({h: a * s * noise}, parameters=(s,))
    assert made.noises == (noise,)
    assert made.parameters == (s,)
