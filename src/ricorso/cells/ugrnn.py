"""Update-gate network: one gate between the old state and the new."""

from ricorso.equations import HORIZON, Cell, draws, gates, log, sigmoid, states, tanh

g, n = gates("g n")
(h,) = states("h")
(u,) = draws("u")

UGRNN = Cell(
    "ugrnn",
    title="Update-gate network",
    paper="Collins, Sohl-Dickstein and Sussillo 2017, arXiv:1611.09913",
    gates=(g, n),
    states=(h,),
    update={h: sigmoid(g) * h + (1 - sigmoid(g)) * tanh(n)},
    start={g: 1.0},
    long_start={g: log(1 + u * (HORIZON - 2))},
)
