"""GRU with layer normalisation of each gate."""

from ricorso.equations import Cell, gates, normalise, parameters, sigmoid, states, tanh

r, z, n = gates("r z n")
(h,) = states("h")
scales = a_r, a_z, a_x, a_u = parameters("a_r a_z a_x a_u")
shifts = s_r, s_z, s_x, s_u = parameters("s_r s_z s_x s_u")

GRU_LAYER_NORM = Cell(
    "gru_layer_norm",
    title="Gated recurrent unit with layer normalisation",
    paper="Ba, Kiros and Hinton 2016, arXiv:1607.06450; statistics of each gate's sum, the candidate's parts apart",
    gates=(r, z, n),
    states=(h,),
    parameters=scales + shifts,
    update={
        h: (1 - sigmoid(a_z * normalise(z) + s_z))
        * tanh(a_x * normalise(n.x) + s_x + sigmoid(a_r * normalise(r) + s_r) * (a_u * normalise(n.u) + s_u))
        + sigmoid(a_z * normalise(z) + s_z) * h
    },
    start={**dict.fromkeys(scales, 1.0), **dict.fromkeys(shifts, 0.0)},
)
