from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch.nn.utils.rnn import pack_sequence

from ricorso.exchange.structure import leaves, mapped, own_copy

Pair = namedtuple("Pair", ["left", "right"])


@dataclass(frozen=True)
class Frozen:
    values: torch.Tensor
    name: str


def places(value):
    return [place for place, _ in leaves(value)]


def test_leaves_are_named_as_python_would_write_them():
    packed = pack_sequence([torch.zeros(2, 3), torch.zeros(1, 3)])
    value = {"a": [1, Pair(torch.zeros(1), "x")], 3: packed, "f": Frozen(torch.zeros(1), "n")}
    assert places(value) == [
        "output['a'][0]",
        "output['a'][1].left",
        "output['a'][1].right",
        "output[3].data",
        "output[3].batch_sizes",
        "output['f'].values",
        "output['f'].name",
    ]
    assert places(SimpleNamespace(logits=torch.zeros(1), loss=None)) == ["output.logits", "output.loss"]
    assert places(torch.zeros(2)) == ["output"]
    assert places(((), [])) == []


def test_what_holds_itself_has_an_end():
    value = SimpleNamespace(tensor=torch.zeros(1))
    value.itself = value
    assert places(value) == ["output.tensor", "output.itself"]


def test_mapped_changes_every_tensor_and_no_original():
    packed = pack_sequence([torch.ones(2, 3), torch.ones(1, 3)])
    value = {"a": [1, Pair(torch.ones(1), "x")], "p": packed, "f": Frozen(torch.ones(1), "n"), "t": (torch.ones(1),)}
    doubled = mapped(value, lambda tensor: tensor * 2)
    assert places(doubled) == places(value)
    assert type(doubled["a"][1]) is Pair
    tensors = [leaf for place, leaf in leaves(doubled) if isinstance(leaf, torch.Tensor) and "sizes" not in place]
    assert len(tensors) == 4
    assert all((tensor == 2).all() for tensor in tensors)
    assert all((leaf == 1).all() for leaf in (value["a"][1].left, packed.data, value["f"].values, value["t"][0]))


def test_own_copies_ask_for_gradients_as_the_originals_do():
    x = torch.ones(2, requires_grad=True)
    first, second = own_copy((x * 2, torch.ones(2)))
    assert first.requires_grad
    assert first.is_leaf
    assert not second.requires_grad
