"""Independently recurrent network: each unit remembers by itself."""

from ricorso.equations import HORIZON, Cell, draws, exp, inputs, log, parameters, relu, states

(p,) = inputs("p")
(h,) = states("h")
(w,) = parameters("w")
(u,) = draws("u")

INDRNN = Cell(
    "indrnn",
    title="Independently recurrent network",
    paper="Li et al. 2018, arXiv:1803.04831",
    gates=(p,),
    states=(h,),
    parameters=(w,),
    update={h: relu(p + w * h)},
    start={w: u},
    # from forgetting at once to halving (and at most doubling) a signal over the horizon
    long_start={w: exp((2 * u - 1) * log(2) / HORIZON)},
)
