"""LSTM whose gates see the cell state."""

from ricorso.equations import HORIZON, Cell, draws, gates, log, parameters, sigmoid, states, tanh

i, f, g, o = gates("i f g o")
h, c = states("h c")
w_i, w_f, w_o = parameters("w_i w_f w_o")
(u,) = draws("u")

LSTM_PEEPHOLE = Cell(
    "lstm_peephole",
    title="LSTM with peepholes",
    paper="Gers, Schraudolph and Schmidhuber 2002, JMLR 3",
    gates=(i, f, g, o),
    states=(h, c),
    parameters=(w_i, w_f, w_o),
    update={
        c: sigmoid(f + w_f * c) * c + sigmoid(i + w_i * c) * tanh(g),
        h: sigmoid(o + w_o * c.new) * tanh(c.new),
    },
    start={f: 1.0, w_i: 0.0, w_f: 0.0, w_o: 0.0},
    long_start={f: log(1 + u * (HORIZON - 2)), i: -log(1 + u * (HORIZON - 2)), w_i: 0.0, w_f: 0.0, w_o: 0.0},
)
