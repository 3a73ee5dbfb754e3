"""A random order of many things, of which any place can be asked without writing the order down."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]

_ROUNDS = 8


def shuffled(places: ArrayLike, count: int, *key: int) -> Ints:
    """What stands at some places of a random order of `range(count)`; the order depends on the key alone.

    A Feistel network over the next power of two, walked on from numbers beyond the count until one is below it
    (Black and Rogaway 2002, https://doi.org/10.1007/3-540-45760-7_9), so each number comes exactly once.

    >>> sorted(shuffled(range(10), 10, 1, 2).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    keys = np.random.SeedSequence(key).generate_state(_ROUNDS, np.uint64).astype(np.uint64)
    bits = max((count - 1).bit_length(), 2)
    low = np.uint64(bits // 2)
    masks = np.uint64((1 << (bits - bits // 2)) - 1), np.uint64((1 << (bits // 2)) - 1)
    found = np.array(places, np.uint64)
    beyond = np.ones(found.shape, bool)
    while beyond.any():
        found[beyond] = _network(found[beyond], keys, low, masks)
        beyond = found >= count
    return found.astype(np.int64)


def _network(
    numbers: NDArray[np.uint64], keys: NDArray[np.uint64], low: np.uint64, masks: tuple[np.uint64, np.uint64]
) -> NDArray[np.uint64]:
    left, right = numbers >> low, numbers & masks[1]
    for i in range(0, len(keys), 2):
        left ^= _mixed(right ^ keys[i]) & masks[0]
        right ^= _mixed(left ^ keys[i + 1]) & masks[1]
    return left << low | right


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers of which every bit depends on every bit: the last step of SplitMix64 (Steele, Lea and Flood 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
