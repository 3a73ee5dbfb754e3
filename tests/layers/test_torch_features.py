"""What torch code does with its layers: compile, export, copy, transform, wrap, train in threads and processes."""

import copy
import multiprocessing
import os
import threading

import pytest
import torch
from processes import together
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.utils import parametrizations

import ricorso
from ricorso import Recurrent

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")


# at 100 units in float64 the cells with zoneout are compiled anyway
NOISY = {"hidden": 100, "dtype": torch.float64}


def layer_and_input(kind="lstm", hidden=8, dtype=torch.float32, **options):
    torch.manual_seed(0)
    return Recurrent(kind, 3, hidden, dtype=dtype, **options), torch.randn(5, 2, 3, dtype=dtype)


def trained(layer, x, **options):
    """Outputs and gradients of all parameters."""
    output, _ = layer(x, **options)
    return [output, *torch.autograd.grad(output.square().sum(), list(layer.parameters()))]


def assert_same(found, wanted, **tolerances):
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, **tolerances)


@pytest.mark.parametrize("kind", ["lstm", "gru_reset_before"])
def test_compiled_training_and_inference(kind):
    layer, x = layer_and_input(kind)
    wanted = trained(layer, x)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert_same(trained(compiled, x), wanted)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x)[0], wanted[0])


def test_compiled_with_lengths():
    layer, x = layer_and_input(num_layers=2, bidirectional=True)
    lengths = torch.tensor([3, 5])
    wanted = trained(layer, x, lengths=lengths)
    compiled = torch.compile(layer, backend="aot_eager")
    assert_same(trained(compiled, x, lengths=lengths), wanted)
    other = torch.tensor([5, 1])
    assert_same(trained(compiled, x, lengths=other), trained(layer, x, lengths=other))


def test_exported_program_gives_the_same():
    layer, x = layer_and_input("gru")
    program = torch.export.export(layer.eval(), (x,))
    torch.testing.assert_close(program.module()(x)[0], layer(x)[0])


def test_exported_program_takes_any_batch():
    layer, x = layer_and_input("lstm")
    sizes = {0: torch.export.Dim("time", min=2), 1: torch.export.Dim("batch", min=2)}
    program = torch.export.export(layer.eval(), (x,), dynamic_shapes={"input": sizes})
    other = torch.randn(9, 4, 3)
    torch.testing.assert_close(program.module()(other)[0], layer(other)[0])


def test_copies_are_independent():
    layer, x = layer_and_input(**NOISY, zoneout=0.1)
    layer(x)
    other = copy.deepcopy(layer)
    torch.manual_seed(1)
    wanted = layer(x)[0]
    torch.manual_seed(1)
    assert torch.equal(other(x)[0], wanted)
    with torch.no_grad():
        other.weight_hh_l0.zero_()
    assert layer.weight_hh_l0.abs().sum() > 0


def test_saved_with_torch_and_loaded_weights_only(tmp_path):
    layer, x = layer_and_input(learned_start=True)
    torch.save(layer.state_dict(), tmp_path / "weights.pt")
    other = Recurrent("lstm", 3, 8, learned_start=True)
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(other(x)[0], layer(x)[0])


def test_functional_call_with_other_weights():
    layer, x = layer_and_input("gru")
    weights = {name: torch.randn_like(p) * 0.1 for name, p in layer.named_parameters()}
    found = functional_call(layer, weights, (x,))[0]
    other = Recurrent("gru", 3, 8)
    other.load_state_dict(weights)
    torch.testing.assert_close(found, other(x)[0])


def test_gradients_of_each_example():
    layer, x = layer_and_input("lstm")
    weights = {name: p.detach() for name, p in layer.named_parameters()}

    def loss(weights, example):
        return functional_call(layer, weights, (example.unsqueeze(1),))[0].square().sum()

    each = vmap(grad(loss), in_dims=(None, 1))(weights, x)
    for n in range(2):
        output, _ = layer(x[:, n : n + 1])
        wanted = torch.autograd.grad(output.square().sum(), list(layer.parameters()))
        for name, gradient in zip(weights, wanted, strict=True):
            torch.testing.assert_close(each[name][n], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_parametrised_weights(wrap):
    layer, x = layer_and_input()
    reference = nn.LSTM(3, 8)
    reference.load_state_dict(layer.state_dict())
    torch.manual_seed(2)
    wrap(layer, "weight_hh_l0")
    torch.manual_seed(2)
    wrap(reference, "weight_hh_l0")
    theirs, ours = reference(x)[0], layer(x)[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    ours.sum().backward()
    theirs.sum().backward()
    wanted = dict(reference.named_parameters())
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name].grad, rtol=1e-4, atol=1e-5)


def test_old_style_weight_norm():
    layer, x = layer_and_input()
    wanted = layer(x)[0]
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(layer, "weight_hh_l0")
    torch.testing.assert_close(layer(x)[0], wanted)


def test_second_derivatives():
    layer, x = layer_and_input("gru", dtype=torch.float64)
    x.requires_grad_()
    (first,) = torch.autograd.grad(layer(x, lengths=[5, 3])[0].square().sum(), x, create_graph=True)
    penalty = torch.autograd.grad(first.square().sum(), layer.weight_hh_l0)
    assert penalty[0].abs().sum() > 0


def test_automatic_mixed_precision_with_a_scaler():
    layer, x = layer_and_input()
    optimiser = torch.optim.SGD(layer.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = layer(x)[0].float().square().mean()
    before = layer.weight_hh_l0.detach().clone()
    scaler.scale(loss).backward()
    scaler.step(optimiser)
    scaler.update()
    assert layer.weight_hh_l0.dtype == layer.weight_hh_l0.grad.dtype == torch.float32
    assert not torch.equal(layer.weight_hh_l0, before)


def test_gradient_checkpointing():
    layer, x = layer_and_input(**NOISY, zoneout=0.2)
    torch.manual_seed(3)
    wanted = trained(layer, x)
    torch.manual_seed(3)
    output = torch.utils.checkpoint.checkpoint(lambda x: layer(x)[0], x, use_reentrant=False)
    found = torch.autograd.grad(output.square().sum(), list(layer.parameters()))
    assert_same([output, *found], wanted)


def test_training_in_one_thread_and_inferring_in_others():
    layer, x = layer_and_input("gru")
    frozen, y = layer_and_input("gru")
    with torch.no_grad():
        wanted = frozen(y)[0]
    wrong = []

    def infer():
        for _ in range(50):
            with torch.no_grad():
                if not torch.equal(frozen(y)[0], wanted):
                    wrong.append("inference")

    def train():
        optimiser = torch.optim.SGD(layer.parameters(), 0.01)
        for _ in range(50):
            optimiser.zero_grad()
            layer(x)[0].square().sum().backward()
            optimiser.step()

    threads = [threading.Thread(target=work) for work in (infer, train, infer)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reference, _ = layer_and_input("gru")
    optimiser = torch.optim.SGD(reference.parameters(), 0.01)
    for _ in range(50):
        optimiser.zero_grad()
        reference(x)[0].square().sum().backward()
        optimiser.step()
    assert not wrong
    assert_same(list(layer.parameters()), list(reference.parameters()))


def test_results_follow_a_change_of_the_number_of_threads():
    torch.manual_seed(0)
    layer = Recurrent("lstm", 100, 100)
    x = torch.randn(20, 16, 100)
    before = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 5, 1):
            torch.set_num_threads(count)
            found.append(layer(x)[0])
    finally:
        torch.set_num_threads(before)
    for output in found[1:]:
        torch.testing.assert_close(output, found[0], rtol=1e-5, atol=1e-6)


def _in_a_process(pipe, weights, x):
    # as torch's own loaders do: its OpenMP threads do not survive a fork
    torch.set_num_threads(1)
    layer = Recurrent("lstm", 3, 8)
    layer.load_state_dict(weights)
    output = layer(x)[0]
    output.sum().backward()
    pipe.send((output.detach().numpy(), layer.weight_hh_l0.grad.numpy()))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_in_processes(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    layer, x = layer_and_input()
    output, _ = layer(x)
    output.sum().backward()
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    process = context.Process(target=_in_a_process, args=(theirs, layer.state_dict(), x), daemon=True)
    process.start()
    assert ours.poll(60)
    found, gradient = ours.recv()
    process.join()
    assert process.exitcode == 0
    torch.testing.assert_close(torch.from_numpy(found), output.detach())
    torch.testing.assert_close(torch.from_numpy(gradient), layer.weight_hh_l0.grad)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch was built without torch.distributed")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")
def test_distributed_data_parallel_averages_gradients(tmp_path):
    def work(ranks):
        layer, x = layer_and_input("gru")
        wrapped = nn.parallel.DistributedDataParallel(layer)
        wrapped(x[:, ranks.number : ranks.number + 1])[0].sum().backward()
        torch.save([p.grad for p in layer.parameters()], tmp_path / f"{ranks.number}.pt")

    ended = together(2, work, tmp_path)
    assert [one.status for one in ended] == [0, 0], ended
    layer, x = layer_and_input("gru")
    layer(x)[0].sum().backward()
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for gradient, parameter in zip(found, layer.parameters(), strict=True):
            torch.testing.assert_close(gradient, parameter.grad / 2, rtol=1e-4, atol=1e-5)


def test_on_the_meta_device_and_back():
    with torch.device("meta"):
        layer = ricorso.LSTM(3, 8)
    layer = layer.to_empty(device="cpu")
    layer.reset_parameters()
    assert torch.isfinite(layer(torch.zeros(2, 1, 3))[0]).all()


def test_hooks_see_calls():
    layer, x = layer_and_input()
    seen = []
    layer.register_forward_hook(lambda module, arguments, result: seen.append(result[0].shape))
    layer.register_full_backward_hook(lambda module, given, received: seen.append(received[0].shape))
    layer(x.requires_grad_())[0].sum().backward()
    assert seen == [(5, 2, 8), (5, 2, 8)]
