"""Random numbers that depend on nothing but where they are used.

Each is a hash of seed, number of the noise, step, sequence and unit, so that any order of work and any number of
threads gives the same bits. `kernels/llvm/noise.py` computes the same in machine code.
"""

import torch
from torch import Tensor

from ricorso.kernels.noise import MIX_1, MIX_2, ROW, STEP

MASK = 0xFFFFFFFF


def mix(x: int) -> int:
    """The finaliser of MurmurHash3 (Austin Appleby, public domain), a bijection of 32-bit numbers."""
    x = ((x ^ (x >> 16)) * MIX_1) & MASK
    x = ((x ^ (x >> 13)) * MIX_2) & MASK
    return x ^ (x >> 16)


def step_key(seed: int, number: int, step: int) -> int:
    """What the hashes of one noise at one step share."""
    return mix((seed & MASK) ^ mix((seed >> 32 & MASK) + mix(((step & MASK) * STEP + number) & MASK) & MASK))


def uniform(seed: int, number: int, step: int, like: Tensor) -> Tensor:
    """Numbers in [0, 1) for each place of a (batch, units) tensor, with its element type and device."""
    rows = torch.arange(like.shape[0], device=like.device).unsqueeze(1)
    units = torch.arange(like.shape[1], device=like.device)
    x = (rows * ROW + units) & MASK
    x = x ^ step_key(seed, number, step)
    for _ in range(2):
        x = ((x ^ (x >> 16)) * MIX_1) & MASK
        x = ((x ^ (x >> 13)) * MIX_2) & MASK
        x = x ^ (x >> 16)
    return (x >> 8).to(like.dtype) * 2.0**-24
