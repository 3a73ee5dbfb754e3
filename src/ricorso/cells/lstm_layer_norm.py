"""LSTM with layer normalisation of each gate and of the cell state."""

from ricorso.equations import Cell, gates, normalise, parameters, sigmoid, states, tanh

i, f, g, o = gates("i f g o")
h, c = states("h c")
scales = a_i, a_f, a_g, a_o, a_c = parameters("a_i a_f a_g a_o a_c")
shifts = s_i, s_f, s_g, s_o, s_c = parameters("s_i s_f s_g s_o s_c")

LSTM_LAYER_NORM = Cell(
    "lstm_layer_norm",
    title="LSTM with layer normalisation",
    paper="Ba, Kiros and Hinton 2016, arXiv:1607.06450; statistics of each gate's sum",
    gates=(i, f, g, o),
    states=(h, c),
    parameters=scales + shifts,
    update={
        c: sigmoid(a_f * normalise(f) + s_f) * c + sigmoid(a_i * normalise(i) + s_i) * tanh(a_g * normalise(g) + s_g),
        h: sigmoid(a_o * normalise(o) + s_o) * tanh(a_c * normalise(c.new) + s_c),
    },
    start={**dict.fromkeys(scales, 1.0), **dict.fromkeys(shifts, 0.0), s_f: 1.0},
)
