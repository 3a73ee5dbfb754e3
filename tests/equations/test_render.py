import re

import pytest
import sympy as sp

from ricorso.cells import CATALOGUE
from ricorso.equations import Cell, gates, mean, normalise, products, scalars, sigmoid, signals, states, tanh
from ricorso.equations.render import adjoint_latex, latex, norm, text, with_norms
from ricorso.equations.transform import layer_normalised, recurrent_dropout, zoneout

(h,), (p,) = states("h"), gates("p")


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "gru",
            [
                "x_n = W_n x + b_n",
                "u_n = R_n h + d_n",
                "h' = h*sigmoid(z) + (1 - sigmoid(z))*tanh(u_n*sigmoid(r) + x_n)",
            ],
        ),
        ("gru_reset_before", ["n = W_n x + b_n + R_n (h*sigmoid(r)) + d_n"]),
        ("mingru", ["z = W_z x + b_z", "n = W_n x + b_n"]),
        ("sru", ["x = W_x input + b_x", "f = W_f input + b_f"]),
        ("lru", ["y_im = R_y_im s_im' + d_y_im", "parameters nu, theta, gamma: one trained value for each unit"]),
        ("lem", ["y = W_y x + b_y + R_y s' + d_y"]),
        ("cfc", ["f = R_f (1.7159*tanh(2*b/3)) + d_f", "signals dt: given with each step of each sequence"]),
        ("fastgrnn", ["scalars zeta, nu: one trained value for all units"]),
        ("slstm", ["heads: R is block-diagonal with 4 blocks", "h' = c'*sigmoid(o)/maximum(n', 1e-6)"]),
        ("lstm_layer_norm", ["h' = sigmoid(a_o*normalise(o) + s_o)*tanh(a_c*normalise(c') + s_c)"]),
    ],
)
def test_text_shows(name, lines):
    shown = text(CATALOGUE[name]).splitlines()
    assert [line for line in lines if line not in shown] == []


def test_a_gate_that_reads_a_new_state_is_told_after_it():
    lines = text(CATALOGUE["lem"]).splitlines()
    assert [line.split(" = ")[0] for line in lines] == ["a", "b", "z", "s'", "y", "h'"]


def test_regularisers_are_listed():
    cell = zoneout(recurrent_dropout(CATALOGUE["elman_tanh"]))
    assert text(cell).splitlines()[-3:] == [
        "noise keep_h: uniform in [0, 1), new at each step",
        "noise drop: uniform in [0, 1), the same at all steps",
        "rates recurrent_dropout = 0, zoneout_output = 0",
    ]


def test_long_sums_are_broken_before_a_sign():
    for line in text(CATALOGUE["lru"]).splitlines():
        assert len(line) <= 100
    assert "\n    + s_re*cosine" in text(CATALOGUE["lru"])


def test_normalisation_is_recognised_with_any_factor_and_shift():
    (a,) = scalars("a")
    assert with_norms(3 * normalise(p.x + h) + 1) == 3 * norm(p.x + h, sp.Float(1e-5)) + 1
    assert with_norms(a * normalise(p, 0.5) * h) == a * h * norm(p, sp.Float(0.5))
    assert with_norms((p - mean(p)) * h) == (p - mean(p)) * h
    assert "normalise(p, 0.5)" in text(Cell("x", (p,), (h,), {h: normalise(p, 0.5)}))


def test_latex_of_names_with_underscores():
    shown = latex(CATALOGUE["lru"])
    assert r"s^{\mathrm{re}}_{t} &=" in shown
    assert r"R_{\mathrm{y,im}} s^{\mathrm{im}}_{t}" in shown
    assert r"\exp\left(\gamma\right)" in shown
    assert r"w_{\mathrm{f}} \odot c_{t-1}" in latex(CATALOGUE["lstm_peephole"])


def test_latex_of_products_and_norms():
    assert r"R_{\mathrm{n}} \left(h_{t-1} \odot \sigma\left(p_{\mathrm{r}}\right)\right)" in latex(
        CATALOGUE["gru_reset_before"]
    )
    assert r"\operatorname{norm}\left(c_{t}\right)" in latex(CATALOGUE["lstm_layer_norm"])
    assert r"\mathrm{dt}_{t}" in latex(CATALOGUE["cfc"])
    assert r"\frac{2 \, p_{\mathrm{b}}}{3}" in latex(CATALOGUE["cfc"])


def test_the_backward_step_shows_transposed_matrices():
    shown = adjoint_latex(CATALOGUE["gru_reset_before"])
    assert r"\bar{v}_{2} &= R_{\mathrm{n}}^{\top} \delta p_{\mathrm{n}}" in shown
    assert r"\delta w_{\mathrm{i}} &=" in adjoint_latex(CATALOGUE["lstm_peephole"])


def signal_and_power():
    (s,), (y,) = signals("s"), products("y")
    return Cell("other", (p, y), (h,), {h: tanh(p) ** 2 * s + y**-1 + sigmoid(p) ** 3}, signals=(s,))


@pytest.mark.parametrize(
    "cell",
    [
        *CATALOGUE.values(),
        signal_and_power(),
        *(change(CATALOGUE[n]) for n in ("gru", "lstm") for change in (zoneout, recurrent_dropout, layer_normalised)),
    ],
    ids=lambda cell: cell.name,
)
def test_latex_names_every_symbol_and_balances_its_brackets(cell):
    for shown in (latex(cell), adjoint_latex(cell)):
        assert shown.count("{") == shown.count("}")
        assert shown.count(r"\left(") == shown.count(r"\right)")
        assert not re.search(r"_new|_total|@|bias|times", shown)
    first = cell.states[0].name
    assert all(rf"{state.name.partition('_')[0]}" in latex(cell) for state in cell.states)
    assert rf"\delta {first}_{{t}}" in adjoint_latex(cell)


@pytest.mark.parametrize("cell", CATALOGUE.values(), ids=lambda cell: cell.name)
def test_every_value_of_the_backward_step_is_defined(cell):
    shown = adjoint_latex(cell)
    defined = set(re.findall(r"^(\\?(?:bar\{)?v\}?_\{\d+\}) &=", shown, flags=re.MULTILINE))
    used = set(re.findall(r"\\bar\{v\}_\{\d+\}|(?<!\{)v_\{\d+\}", shown))
    assert used <= defined
