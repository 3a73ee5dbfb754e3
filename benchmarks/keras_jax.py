"""How much faster is a training step of one layer than Keras' on JAX? Compiled by XLA, float32, T = 100."""

import os
import tempfile
from functools import partial
from importlib.util import find_spec

import torch
from measurement import OURS, asked, means, options, product_rate, save, say_machine, shown

from ricorso.bench.question import Question
from ricorso.bench.sequence import pair, product_operations, training_step

STEPS = 100
GRID = [(hidden, batch) for hidden in (64, 128, 256, 512) for batch in (1, 8, 64)]
# Keras' layer, its options, its order of gates as places in torch's, whether its two biases are apart
LAYERS = {"lstm": ("LSTM", {}, (0, 1, 2, 3), False), "gru": ("GRU", {"reset_after": True}, (1, 0, 2), True)}


def keras_step(kind, layer, x, gradient):
    """A function that does the training step of a torch layer in Keras on JAX, with results in torch's layout."""
    import jax
    import keras

    name, its_options, order, apart = LAYERS[kind]
    peer = getattr(keras.layers, name)(layer.hidden_size, return_sequences=True, **its_options)
    peer.build((None, STEPS, layer.input_size))
    w = {n.removesuffix("_l0"): reordered(p.detach(), order) for n, p in layer.named_parameters()}
    biases = torch.stack([w["bias_ih"], w["bias_hh"]])
    peer.set_weights([w["weight_ih"].T, w["weight_hh"].T, biases if apart else biases.sum(0)])
    values = [variable.value for variable in peer.trainable_variables]
    others = [variable.value for variable in peer.non_trainable_variables]
    given, of_output = (jax.numpy.asarray(tensor.detach().transpose(0, 1).numpy()) for tensor in (x, gradient))

    def loss(values, given):
        output, _ = peer.stateless_call(values, others, given)
        return (output * of_output).sum(), output

    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    back = [order.index(n) for n in range(len(order))]

    def run():
        return jax.block_until_ready(step(values, given))

    def in_torchs_layout(results):
        (_, output), ((ih, hh, bias), of_input) = results
        output, of_input = (as_tensor(value).transpose(0, 1) for value in (output, of_input))
        bias = as_tensor(bias)
        of_biases = bias.unbind(0) if apart else (bias, bias)
        parts = [as_tensor(ih).T, as_tensor(hh).T, *of_biases]
        return [output, of_input, *(reordered(part, back) for part in parts)]

    return run, in_torchs_layout


def as_tensor(value):
    import numpy as np

    return torch.from_numpy(np.array(value))


def reordered(stacked, order):
    parts = stacked.chunk(len(order))
    return torch.cat([parts[place] for place in order])


def question(kind, hidden, batch):
    ours, theirs = pair(kind, hidden, hidden)
    x, gradient = torch.randn(STEPS, batch, hidden, requires_grad=True), torch.randn(STEPS, batch, hidden)
    run, in_torchs_layout = keras_step(kind, theirs, x, gradient)
    sides = {OURS: partial(training_step, ours, list(ours.parameters()), x, gradient), "keras": run}
    return Question(
        "training",
        kind,
        hidden,
        batch,
        STEPS,
        sides,
        product_operations(ours, STEPS * batch, training=True),
        way=lambda: ours.path,
        comparable=lambda results: in_torchs_layout(results) if isinstance(results, tuple) else results,
    )


def main():
    chosen = options(__doc__).parse_args()
    missing = [name for name in ("keras", "jax") if find_spec(name) is None]
    if missing:
        print(f"nothing to compare with: not installed: {', '.join(missing)}")
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"KERAS_BACKEND": "jax", "KERAS_HOME": folder}
        rate = product_rate()
        say_machine(rate)
        answers = []
        for kind in LAYERS:
            for hidden, batch in GRID:
                answers.append(asked(question(kind, hidden, batch), chosen.seconds, rate))
                print(shown(answers[-1]), flush=True)
    rows = [answer.as_json() for answer in answers]
    mean = means(answers)
    save("keras_jax", {"steps": STEPS, "product_rate_flops": rate, "geometric_mean_ratio": mean, "rows": rows})


if __name__ == "__main__":
    main()
