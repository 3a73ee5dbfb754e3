"""Long expressive memory: two states that move at times scales the cell learns."""

from ricorso.equations import HORIZON, Cell, draws, gates, log, sigmoid, states, tanh

a, b, z, y = gates("a b z y")
h, s = states("h s")
(u,) = draws("u")

LEM = Cell(
    "lem",
    title="Long expressive memory",
    paper="Rusch et al. 2022, arXiv:2110.04744 (step size 1)",
    gates=(a, b, z, y),
    states=(h, s),
    product_of={y: s.new},
    update={
        s: (1 - sigmoid(b)) * s + sigmoid(b) * tanh(z),
        h: (1 - sigmoid(a)) * h + sigmoid(a) * tanh(y),
    },
    long_start={a: -log(1 + u * (HORIZON - 2)), b: -log(1 + u * (HORIZON - 2))},
    recurrent_start="uniform",
)
