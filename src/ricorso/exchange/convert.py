"""A torch layer as Ricorso's: made without drawing a number, around the very same parameters."""

from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.nn.modules.rnn import RNNCellBase
from torch.nn.utils.parametrize import is_parametrized

from ricorso.layers import GRU, LSTM, RNN
from ricorso.layers.step import GRUCell, LSTMCell, RNNCell

KINDS: dict[type[nn.Module], type[nn.Module]] = {
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.RNN: RNN,
    nn.LSTMCell: LSTMCell,
    nn.GRUCell: GRUCell,
    nn.RNNCell: RNNCell,
}
_NAMES = {kind.__name__ for kind in KINDS}
# What a module keeps its hooks in. Both layers get the same objects, so that a handle removes its hook from both.
HOOKS = (
    "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs", "_backward_hooks", "_backward_pre_hooks", "_is_full_backward_hook",
    "_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
    "_non_persistent_buffers_set",
)  # fmt: skip
# Lists of weights that torch's layers keep beside their parameters.
_LISTS = ("_flat_weights", "_flat_weight_refs")


def is_recurrent(module: nn.Module) -> bool:
    """Whether this is a recurrent layer of torch's, in whatever form."""
    if isinstance(module, nn.RNNBase | RNNCellBase):
        return True
    if isinstance(module, ScriptModule):
        return getattr(module, "original_name", "") in _NAMES
    return type(module).__module__.startswith("torch.") and type(module).__name__ in _NAMES


def convert(layer: nn.Module) -> nn.Module | str:
    """The same layer as one of Ricorso's, or why it must stay as it is."""
    reason = _unlike_others(layer)
    if reason:
        return reason
    weights = [weight for weight in layer._parameters.values() if weight is not None]
    made = _like(layer, weights[0] if weights else None)
    wanted = dict(made.named_parameters())
    own = {name for name, weight in layer._parameters.items() if weight is not None}
    for name in (*wanted, *sorted(own)):
        if name not in own:
            return f"its {name} is no parameter any more (weight_norm, pruning or the like has replaced it)"
        if name not in wanted:
            return f"it has a parameter of its own, {name}"
        if layer.get_parameter(name).shape != wanted[name].shape:
            return f"its {name} has another shape than its sizes say"
    kinds = {(weight.dtype, weight.device) for weight in weights}
    if len(kinds) > 1:
        return "its weights are of several types or on several devices"
    ((dtype, device),) = kinds
    if not dtype.is_floating_point:
        return f"its weights are {dtype}"
    if device.type not in ("cpu", "meta"):
        return f"it is on {device.type}, where torch's own kernel would run in either case"
    for name in wanted:
        made._parameters[name] = layer._parameters[name]
    made.train(layer.training)
    hand_over(layer, made)
    return made


def _unlike_others(layer: nn.Module) -> str:
    """Why nothing can be said about this layer from its class; empty when something can."""
    name = type(layer).__name__
    if isinstance(layer, ScriptModule):
        return "it is TorchScript, whose parts cannot be exchanged"
    if is_parametrized(layer):
        return "its weights are parametrised"
    if type(layer) not in KINDS:
        if isinstance(layer, nn.RNNBase | RNNCellBase):
            return f"{name} is a subclass, which may do something else than its parent"
        return f"it is {type(layer).__module__}.{name}, made for quantised weights"
    if layer._modules or layer._buffers:
        return f"it has parts of its own ({', '.join([*layer._modules, *layer._buffers])})"
    if "forward" in vars(layer):
        return "its forward method was replaced"
    if layer._compiled_call_impl is not None:
        return "it was compiled by torch.compile"
    if any(getattr(hook, "with_module", False) for hook in layer._load_state_dict_pre_hooks.values()):
        return "a hook on its load_state_dict is bound to it"
    return ""


def _like(layer: nn.Module, weight: Tensor | None) -> nn.Module:
    """A layer of the same sizes on no device: drawing its starting values takes no random numbers."""
    options: dict[str, object] = {"bias": bool(layer.bias), "device": "meta"}
    if weight is not None:
        options["dtype"] = weight.dtype
    if isinstance(layer, nn.RNN | nn.RNNCell):
        options["nonlinearity"] = layer.nonlinearity
    if isinstance(layer, nn.RNNBase):
        names = ["num_layers", "batch_first", "bidirectional", *(["proj_size"] if type(layer) is nn.LSTM else [])]
        options |= {name: getattr(layer, name) for name in names}
    made = KINDS[type(layer)](layer.input_size, layer.hidden_size, **options)
    if isinstance(layer, nn.RNNBase):
        # not through the constructor, which would warn a second time about dropout behind a single layer
        made.__dict__["dropout"] = float(layer.dropout)
    return made


def hand_over(one: nn.Module, other: nn.Module) -> None:
    """Give `other` the hooks of `one`, and what users have attached to it."""
    for name in HOOKS:
        other.__dict__[name] = one.__dict__[name]
    for name, value in vars(one).items():
        if name not in vars(other) and name not in _LISTS:
            other.__dict__[name] = value


def sizes(layer: nn.Module) -> str:
    """The sizes of a layer in a few words.

    >>> sizes(nn.GRU(3, 5, num_layers=2, bidirectional=True))
    '3 to 5, 2 layers, both directions'
    """
    text = f"{getattr(layer, 'input_size', '?')} to {getattr(layer, 'hidden_size', '?')}"
    if getattr(layer, "proj_size", 0):
        text += f" to {layer.proj_size}"
    if getattr(layer, "num_layers", 1) > 1:
        text += f", {layer.num_layers} layers"
    return text + (", both directions" if getattr(layer, "bidirectional", False) else "")
