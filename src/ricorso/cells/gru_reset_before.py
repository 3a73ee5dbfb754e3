"""Gated recurrent unit as first published: the reset gate acts before the recurrent product."""

from ricorso.equations import HORIZON, Cell, draws, gates, log, sigmoid, states, tanh

r, z, n = gates("r z n")
(h,) = states("h")
(u,) = draws("u")

GRU_RESET_BEFORE = Cell(
    "gru_reset_before",
    title="Gated recurrent unit, reset before the product",
    paper="Cho et al. 2014, arXiv:1406.1078v3",
    gates=(r, z, n),
    states=(h,),
    product_of={n: sigmoid(r) * h},
    update={h: (1 - sigmoid(z)) * tanh(n) + sigmoid(z) * h},
    long_start={z: log(1 + u * (HORIZON - 2))},
)
