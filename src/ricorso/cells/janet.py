"""Just another network: an LSTM reduced to its forget gate."""

from ricorso.equations import HORIZON, Cell, draws, gates, log, sigmoid, states, tanh

f, g = gates("f g")
(h,) = states("h")
(u,) = draws("u")

JANET = Cell(
    "janet",
    title="JANET, the forget gate alone",
    paper="van der Westhuizen and Lasenby 2018, arXiv:1804.04849 (with its beta = 1)",
    gates=(f, g),
    states=(h,),
    update={h: sigmoid(f) * h + (1 - sigmoid(f - 1)) * tanh(g)},
    start={f: 1.0},
    long_start={f: log(1 + u * (HORIZON - 2))},
)
