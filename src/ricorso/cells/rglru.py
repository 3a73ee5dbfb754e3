"""Real-gated linear recurrent unit of the Griffin models."""

from ricorso.equations import Cell, draws, exp, inputs, log, parameters, sigmoid, softplus, sqrt, states

r, i, v = inputs("r i v")
(h,) = states("h")
(decay,) = parameters("decay")
(u,) = draws("u")

log_a = -8 * softplus(decay) * sigmoid(r)
radius = sqrt(0.81 + u * (0.998001 - 0.81))

RGLRU = Cell(
    "rglru",
    title="Real-gated linear recurrent unit",
    paper="De et al. 2024, arXiv:2402.19427; v is the input brought to the number of units",
    gates=(r, i, v),
    states=(h,),
    parameters=(decay,),
    update={h: exp(log_a) * h + sqrt(1 - exp(2 * log_a) + 1e-6) * sigmoid(i) * v},
    # so that exp(-8 softplus(decay)) lies between 0.9 and 0.999
    start={decay: log(exp(-log(radius) / 8) - 1)},
)
