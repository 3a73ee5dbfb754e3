"""Products of a few rows against numpy, at sizes that do and do not fill the vectors."""

import numpy as np
import pytest

from ricorso.kernels.available import unavailable

if unavailable():
    pytest.skip(unavailable(), allow_module_level=True)

from ricorso.engine.team import torch_team
from ricorso.kernels.dense import dense
from ricorso.kernels.team import Team

TOLERANCES = {"float32": 2e-6, "float64": 1e-14}
GAP = 3


def product(array, bias=None):
    """Depth, address and stride of rows, to be followed by a weight; rows have a gap behind them."""
    wide = np.full((len(array), array.shape[1] + GAP), np.nan, array.dtype)
    wide[:, : array.shape[1]] = array
    return wide, (array.shape[1], wide.ctypes.data, wide.shape[1])


def target(rows, units, dtype, start):
    wide = np.full((rows, units + GAP), np.nan, dtype)
    wide[:, :units] = start
    return wide


def close(found, wanted, depth, dtype):
    assert np.isnan(found[:, wanted.shape[1] :]).all()
    return np.abs(found[:, : wanted.shape[1]] - wanted).max() <= TOLERANCES[dtype] * depth


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6, 7, 13, 32])
@pytest.mark.parametrize("team", ["alone", "openmp", "python"])
def test_products_are_those_of_numpy(rows, dtype, team):
    rng, kernels = np.random.default_rng(rows), dense(dtype)
    how = {"team": Team() if team == "python" else torch_team(), "threads": 1 if team == "alone" else 3}
    draw = lambda *shape: rng.standard_normal(shape).astype(dtype)  # noqa: E731
    for units in (1, 8, 17, 100, 130):
        for depth in (1, 5, 16, 33):
            x, other, start = draw(rows, depth), draw(rows, 7), draw(rows, units)
            weight, other_weight, bias, other_bias = draw(units, depth), draw(units, 7), draw(units), draw(units)
            (_x, given), (_other, more) = product(x), product(other)
            for add in (False, True):
                out = target(rows, units, dtype, start)
                head = (rows, units, out.ctypes.data, out.shape[1], add)
                second = (*more, other_weight.ctypes.data, other_bias.ctypes.data)
                kernels.run("times", head, *given, weight.ctypes.data, bias.ctypes.data, *second, **how)
                wanted = x @ weight.T + bias + other @ other_weight.T + other_bias + add * start
                assert close(out, wanted, depth + 9, dtype)
                out = target(rows, units, dtype, start)
                head = (rows, units, out.ctypes.data, out.shape[1], add)
                turned = np.ascontiguousarray(weight.T)
                kernels.run("mix", head, *given, turned.ctypes.data, **how)
                assert close(out, x @ turned + add * start, depth + 2, dtype)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_a_row_is_the_same_in_every_company(dtype):
    rng, kernels = np.random.default_rng(0), dense(dtype)
    x, weight = rng.standard_normal((7, 33)).astype(dtype), rng.standard_normal((40, 33)).astype(dtype)
    found = []
    for rows in (1, 2, 3, 4, 7):
        out = np.zeros((rows, 40), dtype)
        given = (33, x.ctypes.data, 33, weight.ctypes.data)
        kernels.run("times", (rows, 40, out.ctypes.data, 40, False), *given, team=Team(), threads=1)
        found.append(out[0])
    assert all((row == found[0]).all() for row in found)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("rows", [1, 3, 5, 40])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_input_of_a_mix_may_be_a_transpose(rows, threads, dtype):
    rng, kernels = np.random.default_rng(rows), dense(dtype)
    draw = lambda *shape: rng.standard_normal(shape).astype(dtype)  # noqa: E731
    for units in (1, 17, 64, 300):
        for depth in (1, 16, 33):
            x, weight, start = draw(depth, rows + GAP), draw(depth, units), draw(rows, units)
            for add in (False, True):
                out = target(rows, units, dtype, start)
                head = (rows, units, out.ctypes.data, out.shape[1], add)
                given = (depth, x.ctypes.data, 1, weight.ctypes.data)
                kernels.run("mix", head, *given, step=x.shape[1], team=torch_team(), threads=threads)
                assert close(out, x[:, :rows].T @ weight + add * start, depth + 2, dtype)
