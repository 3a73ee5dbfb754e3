"""Gated recurrent unit, reset after the recurrent product (the form of cuDNN and torch.nn)."""

from ricorso.equations import HORIZON, Cell, draws, gates, log, sigmoid, states, tanh

r, z, n = gates("r z n")
(h,) = states("h")
(u,) = draws("u")

GRU = Cell(
    "gru",
    title="Gated recurrent unit",
    paper="Cho et al. 2014, arXiv:1406.1078; reset after the product: arXiv:1406.1078v1 and cuDNN",
    gates=(r, z, n),
    states=(h,),
    update={h: (1 - sigmoid(z)) * tanh(n.x + sigmoid(r) * n.u) + sigmoid(z) * h},
    long_start={z: log(1 + u * (HORIZON - 2))},
)
