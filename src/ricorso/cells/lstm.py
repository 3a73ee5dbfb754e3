"""Long short-term memory."""

from ricorso.equations import HORIZON, Cell, draws, gates, log, sigmoid, states, tanh

i, f, g, o = gates("i f g o")
h, c = states("h c")
(u,) = draws("u")

LSTM = Cell(
    "lstm",
    title="Long short-term memory",
    paper="Hochreiter and Schmidhuber 1997, Neural Computation 9(8); forget gate: Gers, Schmidhuber and Cummins 2000",
    gates=(i, f, g, o),
    states=(h, c),
    update={
        c: sigmoid(f) * c + sigmoid(i) * tanh(g),
        h: sigmoid(o) * tanh(c.new),
    },
    start={f: 1.0},
    # Tallec and Ollivier 2018, arXiv:1804.11188: time constants from 1 to the horizon
    long_start={f: log(1 + u * (HORIZON - 2)), i: -log(1 + u * (HORIZON - 2))},
)
