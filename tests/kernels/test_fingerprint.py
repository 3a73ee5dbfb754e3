"""Fingerprints of memory."""

import numpy as np
import pytest

from ricorso.kernels.available import unavailable

if unavailable():
    pytest.skip(unavailable(), allow_module_level=True)

from ricorso.kernels.fingerprint import fingerprint


def areas(*arrays):
    return [number for array in arrays for number in (array.ctypes.data, array.size)]


@pytest.mark.parametrize("size", [1, 15, 16, 63, 64, 65, 200])
def test_every_single_bit_counts(size):
    words = np.random.default_rng(size).integers(0, 2**32, size, np.uint32)
    other = np.arange(5, dtype=np.uint32)
    seen = {fingerprint(areas(words, other))}
    for number in range(size):
        for bit in (0, 13, 31):
            words[number] ^= np.uint32(1 << bit)
            seen.add(fingerprint(areas(words, other)))
            words[number] ^= np.uint32(1 << bit)
    other[3] += 1
    seen.add(fingerprint(areas(words, other)))
    assert len(seen) == 3 * size + 2


def test_the_same_memory_has_the_same_fingerprint_and_order_counts():
    one, other = np.arange(100, dtype=np.float32), np.arange(100, dtype=np.float32)
    assert fingerprint(areas(one)) == fingerprint(areas(other))
    other[[3, 4]] = other[[4, 3]]
    assert fingerprint(areas(one)) != fingerprint(areas(other))
    other[:] = one
    other[[3, 3 + 64]] = other[[3 + 64, 3]]
    assert fingerprint(areas(one)) != fingerprint(areas(other))


def test_no_memory_has_a_fingerprint():
    assert fingerprint([]) == fingerprint(areas(np.zeros(0, np.float32)))


@pytest.mark.parametrize("change", [np.negative, lambda x: x[::-1].copy(), lambda x: x + 1, lambda x: x * 2])
def test_changes_of_all_numbers_at_once_do_not_cancel(change):
    numbers = np.random.default_rng(0).standard_normal(1024).astype(np.float32)
    assert fingerprint(areas(change(numbers))) != fingerprint(areas(numbers))
