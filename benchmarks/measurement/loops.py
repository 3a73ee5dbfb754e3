"""Cells as people write them in torch: a Python loop over time."""

import torch
from torch.nn.functional import layer_norm, logsigmoid, softplus


def lstm_layer_norm(layer):
    w = dict(layer.named_parameters())
    scale = [w[f"a_{g}_l0"] for g in "ifgoc"]
    shift = [w[f"s_{g}_l0"] for g in "ifgoc"]
    size = (layer.hidden_size,)

    def step(x, h, c):
        parts = (x + h @ w["weight_hh_l0"].T).chunk(4, -1)
        i, f, g, o = (layer_norm(p, size, a, s) for p, a, s in zip(parts, scale, shift, strict=False))
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * layer_norm(c, size, scale[4], shift[4]).tanh(), c

    return step, 2


def lstm_peephole(layer):
    w = dict(layer.named_parameters())

    def step(x, h, c):
        i, f, g, o = (x + h @ w["weight_hh_l0"].T).chunk(4, -1)
        i, f = (i + w["w_i_l0"] * c).sigmoid(), (f + w["w_f_l0"] * c).sigmoid()
        c = f * c + i * g.tanh()
        return (o + w["w_o_l0"] * c).sigmoid() * c.tanh(), c

    return step, 2


def slstm(layer):
    w = dict(layer.named_parameters())
    heads, size = layer.heads, layer.hidden_size // layer.heads

    def step(x, h, c, n, m):
        blocks = w["weight_hh_l0"].view(4, heads, size, size)
        u = torch.einsum("bhk,ghuk->bghu", h.view(-1, heads, size), blocks).reshape(len(h), -1)
        i, f, z, o = (x + u).chunk(4, -1)
        log_f = logsigmoid(f)
        new_m = torch.maximum(log_f + m, i)
        keep, write = (log_f + m - new_m).exp(), (i - new_m).exp()
        c, n = keep * c + write * z.tanh(), keep * n + write
        return o.sigmoid() * c / n.clamp(min=1e-6), c, n, new_m

    return step, 4


def mingru(layer):
    def step(x, h):
        z, n = x.chunk(2, -1)
        return ((1 - z.sigmoid()) * h + z.sigmoid() * n,)

    return step, 1


def softplus_unit(layer):
    w = dict(layer.named_parameters())

    def step(x, h):
        a, b = (x + h @ w["weight_hh_l0"].T).chunk(2, -1)
        return (a.sigmoid() * h + (1 - a.sigmoid()) * softplus(b),)

    return step, 1


LOOPS = {f.__name__: f for f in (lstm_layer_norm, lstm_peephole, slstm, mingru, softplus_unit)}


def loop(layer, hoisted=False, compile_step=False):
    """The layer's computation as a loop: a function of the input that gives the outputs.

    hoisted: the input projection of all steps is one product before the loop, else it is part of each step.
    compile_step: the step runs through torch.compile.
    """
    recur, states = LOOPS[layer.cell.name](layer)
    w = dict(layer.named_parameters())
    bias = w["bias_ih_l0"] + w["bias_hh_l0"] if "bias_hh_l0" in w else w["bias_ih_l0"]

    def project_and_recur(x, *state):
        return recur(x @ w["weight_ih_l0"].T + bias, *state)

    step = recur if hoisted else project_and_recur
    if compile_step:
        step = torch.compile(step)

    def run(x):
        parts = x @ w["weight_ih_l0"].T + bias if hoisted else x
        state = tuple(x.new_zeros(x.shape[1], layer.hidden_size) for _ in range(states))
        outputs = []
        for part in parts:
            state = step(part, *state)
            outputs.append(state[0])
        return torch.stack(outputs)

    return run
