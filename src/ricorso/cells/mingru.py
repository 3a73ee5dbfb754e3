"""minGRU: a GRU whose gates no longer see the state."""

from ricorso.equations import HORIZON, Cell, draws, inputs, log, sigmoid, states

z, n = inputs("z n")
(h,) = states("h")
(u,) = draws("u")

MINGRU = Cell(
    "mingru",
    title="minGRU",
    paper="Feng et al. 2024, arXiv:2410.01201",
    gates=(z, n),
    states=(h,),
    update={h: (1 - sigmoid(z)) * h + sigmoid(z) * n},
    long_start={z: -log(1 + u * (HORIZON - 2))},
)
