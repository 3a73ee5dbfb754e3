"""The carry-gate variant of the LSTM: the output itself is carried over, without a separate cell state."""

from ricorso.equations import Cell, gates, sigmoid, states, tanh

i, f, g = gates("i f g")
(h,) = states("h")

CARRY = Cell(
    "carry",
    title="Carry-gate network",
    paper="The gated form of introductory texts; a special case of Hochreiter and Schmidhuber 1997",
    gates=(i, f, g),
    states=(h,),
    update={h: sigmoid(f) * h + sigmoid(i) * tanh(g)},
    start={f: 1.0},
)
