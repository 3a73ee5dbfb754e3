"""Quasi-recurrent network with fo-pooling."""

from ricorso.equations import HORIZON, Cell, draws, inputs, log, sigmoid, states, tanh

z, f, o = inputs("z f o")
h, c = states("h c")
(u,) = draws("u")

QRNN = Cell(
    "qrnn",
    title="Quasi-recurrent network, fo-pooling",
    paper="Bradbury et al. 2017, arXiv:1611.01576; a window over the input is made by the caller",
    gates=(z, f, o),
    states=(h, c),
    update={
        c: sigmoid(f) * c + (1 - sigmoid(f)) * tanh(z),
        h: sigmoid(o) * c.new,
    },
    start={f: 1.0},
    long_start={f: log(1 + u * (HORIZON - 2))},
)
