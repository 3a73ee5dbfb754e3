"""Long short-term memory."""

from ricorso.equations import Cell, gates, sigmoid, states, tanh

i, f, g, o = gates("i f g o")
h, c = states("h c")

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
    bias_start={f: 1.0},
)
