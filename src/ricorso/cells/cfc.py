"""Closed-form continuous-time network: the time since the last step is an input."""

from ricorso.equations import Cell, gates, products, sigmoid, signals, states, tanh

(b,) = gates("b")
f, g, t, s = products("f g t s")
(h,) = states("h")
(dt,) = signals("dt")

backbone = 1.7159 * tanh(2 * b / 3)

CFC = Cell(
    "cfc",
    title="Closed-form continuous-time network",
    paper="Hasani et al. 2022, arXiv:2106.13898 (gated form, one backbone layer)",
    gates=(b, f, g, t, s),
    states=(h,),
    signals=(dt,),
    product_of=dict.fromkeys((f, g, t, s), backbone),
    update={h: (1 - sigmoid(t * dt + s)) * tanh(f) + sigmoid(t * dt + s) * tanh(g)},
    recurrent_start="uniform",
)
