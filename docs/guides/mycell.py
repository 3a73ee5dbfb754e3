"""The cell of the guide `a-cell-of-your-own.md`."""

from ricorso import Cell
from ricorso.equations import gates, sigmoid, states, tanh

f, g = gates("f g")
(h,) = states("h")

LEAKY = Cell(
    "leaky",
    title="Leaky unit",
    gates=(f, g),
    states=(h,),
    update={h: sigmoid(f) * h + (1 - sigmoid(f)) * tanh(g)},
    start={f: 1.0},
)
