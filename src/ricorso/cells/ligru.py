"""Light GRU: no reset gate, relu instead of tanh, the input part of each gate normalised."""

from ricorso.equations import HORIZON, Cell, draws, gates, log, normalise, parameters, relu, sigmoid, states

z, n = gates("z n")
(h,) = states("h")
scales = a_z, a_n = parameters("a_z a_n")
shifts = s_z, s_n = parameters("s_z s_n")
(u,) = draws("u")

LIGRU = Cell(
    "ligru",
    title="Light GRU",
    paper="Ravanelli et al. 2018, arXiv:1803.10225; layer instead of batch normalisation, so that a stream is possible",
    gates=(z, n),
    states=(h,),
    parameters=scales + shifts,
    update={
        h: sigmoid(a_z * normalise(z.x) + s_z + z.u) * h
        + (1 - sigmoid(a_z * normalise(z.x) + s_z + z.u)) * relu(a_n * normalise(n.x) + s_n + n.u)
    },
    start={**dict.fromkeys(scales, 1.0), **dict.fromkeys(shifts, 0.0)},
    long_start={**dict.fromkeys(scales, 1.0), s_z: log(1 + u * (HORIZON - 2)), s_n: 0.0},
)
