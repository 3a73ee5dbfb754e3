"""sLSTM: exponential gates kept in range by a stabiliser, a normaliser state, heads."""

from ricorso.equations import Cell, draws, exp, gates, maximum, sigmoid, softplus, states, tanh

i, f, z, o = gates("i f z o")
h, c, n, m = states("h c n m")
(u,) = draws("u")

log_f = -softplus(-f)

SLSTM = Cell(
    "slstm",
    title="sLSTM",
    paper="Beck et al. 2024, arXiv:2405.04517 (sigmoid forget gate)",
    gates=(i, f, z, o),
    states=(h, c, n, m),
    heads=4,
    update={
        m: maximum(log_f + m, i),
        c: exp(log_f + m - m.new) * c + exp(i - m.new) * tanh(z),
        n: exp(log_f + m - m.new) * n + exp(i - m.new),
        h: sigmoid(o) * c.new / maximum(n.new, 1e-6),
    },
    # time constants spread evenly on a logarithmic scale, as the paper's power law of forget biases
    start={f: 3 + 3 * u},
)
