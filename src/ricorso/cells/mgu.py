"""Minimal gated unit: one gate both resets and updates."""

from ricorso.equations import HORIZON, Cell, draws, gates, log, sigmoid, states, tanh

f, n = gates("f n")
(h,) = states("h")
(u,) = draws("u")

MGU = Cell(
    "mgu",
    title="Minimal gated unit",
    paper="Zhou et al. 2016, arXiv:1603.09420",
    gates=(f, n),
    states=(h,),
    product_of={n: sigmoid(f) * h},
    update={h: (1 - sigmoid(f)) * h + sigmoid(f) * tanh(n)},
    long_start={f: -log(1 + u * (HORIZON - 2))},
)
