"""LSTM that writes as much as it forgets."""

from ricorso.equations import HORIZON, Cell, draws, gates, log, sigmoid, states, tanh

f, g, o = gates("f g o")
h, c = states("h c")
(u,) = draws("u")

LSTM_COUPLED = Cell(
    "lstm_coupled",
    title="LSTM with coupled input and forget gates",
    paper="Greff et al. 2017, arXiv:1503.04069 (variant CIFG)",
    gates=(f, g, o),
    states=(h, c),
    update={
        c: sigmoid(f) * c + (1 - sigmoid(f)) * tanh(g),
        h: sigmoid(o) * tanh(c.new),
    },
    start={f: 1.0},
    long_start={f: log(1 + u * (HORIZON - 2))},
)
