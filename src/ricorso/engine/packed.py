"""Recurrent weights packed for inference, kept for as long as they stay the same."""

from functools import cache

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from ricorso.engine.call import COMPUTED_IN
from ricorso.engine.team import torch_team
from ricorso.kernels.compiled import Compiled

# Elements of a weight; fewer are packed before a second thread has begun.
_WORTH_SHARING = 100_000
# weight -> what it looked like, for which kernels it was packed, and the result
_KEPT = WeakTensorKeyDictionary()


@cache
def _probe(size: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(size, generator=generator).to(dtype)


def packed(kernels: Compiled, weight: Tensor) -> Tensor:
    """`weight` as the kernel `infer` wants it.

    Torch counts changes of a tensor but not those through `.data`, so a product with a fixed vector is compared too.
    """
    if weight.is_inference():
        return _pack(kernels, weight)
    look = (weight._version, weight.data_ptr(), weight.detach() @ _probe(weight.shape[1], weight.dtype))
    kept = _KEPT.get(weight)  # type: ignore[no-untyped-call]
    if kept is not None and kept[1] is kernels and kept[0][:2] == look[:2] and torch.equal(kept[0][2], look[2]):
        found: Tensor = kept[2]
        return found
    result = _pack(kernels, weight)
    _KEPT[weight] = (look, kernels, result)
    return result


def _pack(kernels: Compiled, weight: Tensor) -> Tensor:
    result = torch.empty(kernels.shape.inference.packed_words, dtype=COMPUTED_IN[weight.dtype])
    weight = weight.contiguous()
    threads = torch.get_num_threads() if weight.numel() > _WORTH_SHARING else 1
    kernels.run("pack", torch_team(), {"threads": threads, "weight": weight.data_ptr(), "packed": result.data_ptr()})
    return result
