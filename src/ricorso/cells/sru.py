"""Simple recurrent unit: all products are of the input, the recurrence is elementwise."""

from ricorso.equations import HORIZON, Cell, draws, inputs, log, parameters, sigmoid, states

x, f, r, s = inputs("x f r s")
h, c = states("h c")
v_f, v_r = parameters("v_f v_r")
(u,) = draws("u")

SRU = Cell(
    "sru",
    title="Simple recurrent unit",
    paper="Lei and Zhang 2017, arXiv:1709.02755v1; s is the input as the highway sees it",
    gates=(x, f, r, s),
    states=(h, c),
    update={
        c: sigmoid(f) * c + (1 - sigmoid(f)) * x,
        h: sigmoid(r) * c.new + (1 - sigmoid(r)) * s,
    },
    long_start={f: log(1 + u * (HORIZON - 2))},
)

SRU_PEEPHOLE = Cell(
    "sru_peephole",
    title="Simple recurrent unit whose gates see the state",
    paper="Lei et al. 2018, arXiv:1709.02755v5",
    gates=(x, f, r, s),
    states=(h, c),
    parameters=(v_f, v_r),
    update={
        c: sigmoid(f + v_f * c) * c + (1 - sigmoid(f + v_f * c)) * x,
        h: sigmoid(r + v_r * c) * c.new + (1 - sigmoid(r + v_r * c)) * s,
    },
    start={v_f: 2 * u - 1, v_r: 2 * u - 1},
    long_start={f: log(1 + u * (HORIZON - 2)), v_f: 0.0, v_r: 0.0},
)
