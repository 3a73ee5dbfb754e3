"""minLSTM: an LSTM whose gates no longer see the state and add up to one."""

from ricorso.equations import HORIZON, Cell, draws, inputs, log, sigmoid, states

f, i, n = inputs("f i n")
(h,) = states("h")
(u,) = draws("u")

total = sigmoid(f) + sigmoid(i)

MINLSTM = Cell(
    "minlstm",
    title="minLSTM",
    paper="Feng et al. 2024, arXiv:2410.01201",
    gates=(f, i, n),
    states=(h,),
    update={h: sigmoid(f) / total * h + sigmoid(i) / total * n},
    start={f: 1.0},
    long_start={f: log(1 + u * (HORIZON - 2)), i: -log(1 + u * (HORIZON - 2))},
)
