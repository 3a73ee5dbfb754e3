"""FastGRNN: gate and candidate share their matrices."""

from ricorso.equations import Cell, gates, parameters, scalars, sigmoid, states, tanh

(p,) = gates("p")
(h,) = states("h")
(shift,) = parameters("shift")
zeta, nu = scalars("zeta nu")

FASTGRNN = Cell(
    "fastgrnn",
    title="FastGRNN",
    paper="Kusupati et al. 2018, arXiv:1901.02358 (matrices of full rank); shift is the difference of the two biases",
    gates=(p,),
    states=(h,),
    parameters=(shift, zeta, nu),
    update={h: (sigmoid(zeta) * (1 - sigmoid(p)) + sigmoid(nu)) * tanh(p + shift) + sigmoid(p) * h},
    start={p: 1.0, shift: 0.0, zeta: 1.0, nu: -4.0},
)
