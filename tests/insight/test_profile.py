from types import SimpleNamespace

import pytest
import torch

from ricorso.insight.profile import DATA, KERNELS, KINDS, OPTIMISER, PRODUCTS, REST, _kind, profile


def event(name, parent=None):
    return SimpleNamespace(name=name, cpu_parent=parent)


STEP = event("inspect: step")


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (event("_Eager", STEP), KERNELS),
        (event("_EagerBackward", event("autograd::engine::evaluate_function: _EagerBackward")), KERNELS),
        (event("ricorso::backward", STEP), KERNELS),
        (event("aten::mm", event("_EagerBackward")), PRODUCTS),
        (event("mkldnn::_linear_pointwise", STEP), PRODUCTS),
        (event("aten::copy_", event("inspect: data", STEP)), DATA),
        (event("aten::mm", event("Optimizer.step#AdamW.step", event("inspect: optimiser", STEP))), OPTIMISER),
        (event("aten::mul", STEP), REST),
        (STEP, REST),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_events_are_told_apart(found, kind):
    assert _kind(found) == kind


@pytest.fixture
def profiled(generator, text):
    return profile(generator.model_, generator.vocabulary_.encode(text), generator.config_)


def test_shares_add_up(profiled):
    assert tuple(profiled.shares) == KINDS
    assert sum(profiled.shares.values()) == pytest.approx(1)
    assert all(profiled.shares[kind] > 0 for kind in KINDS)
    assert profiled.milliseconds > 0
    assert (profiled.batch_size, profiled.sequence_length) == (4, 16)


def test_model_and_random_state_stay_as_they_are(generator, text):
    before = {name: value.clone() for name, value in generator.model_.state_dict().items()}
    gradients = [p.grad for p in generator.model_.parameters()]
    state = torch.get_rng_state()
    profile(generator.model_, generator.vocabulary_.encode(text), generator.config_)
    assert torch.equal(torch.get_rng_state(), state)
    assert not generator.model_.training
    assert all(torch.equal(before[name], value) for name, value in generator.model_.state_dict().items())
    assert all(p.grad is grad for p, grad in zip(generator.model_.parameters(), gradients, strict=True))


def test_a_short_text_makes_short_batches(generator, text):
    ids = generator.vocabulary_.encode(text)[:10]
    assert profile(generator.model_, ids, generator.config_).sequence_length == 9


def test_torch_says_nothing_on_standard_error(generator, text, capfd):
    profile(generator.model_, generator.vocabulary_.encode(text), generator.config_)
    assert capfd.readouterr().err == ""
