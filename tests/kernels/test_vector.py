"""Compiled functions against mpmath: a few units in the last place over the whole range."""

import ctypes

import mpmath
import numpy as np
import pytest
from llvmlite import binding as llvm
from llvmlite import ir

from ricorso.kernels.llvm.host import host, target_machine
from ricorso.kernels.llvm.vector import POINTER, Vectors

REFERENCE = {
    "exp": mpmath.exp,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "log": mpmath.log,
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "sine": mpmath.sin,
    "cosine": mpmath.cos,
}


def compile_unary(name, dtype):
    machine = host()
    lanes = machine.vector_bytes // np.dtype(dtype).itemsize
    module = ir.Module()
    module.triple = machine.triple
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, POINTER]), "run")
    builder = ir.IRBuilder(function.append_basic_block())
    v = Vectors(builder, dtype, lanes)
    v.store(getattr(v, name)(v.load(function.args[0])), function.args[1])
    builder.ret_void()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(str(module)), target_machine(machine))
    engine.finalize_object()
    raw = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(engine.get_function_address("run"))

    def run(values):
        values = np.asarray(values, dtype)
        padded = np.concatenate([values, np.ones(-len(values) % lanes, dtype)])
        result = np.empty_like(padded)
        for start in range(0, len(padded), lanes):
            raw(padded[start:].ctypes.data, result[start:].ctypes.data)
        return result[: len(values)]

    run.engine = engine
    return run


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", REFERENCE)
def test_accuracy(name, dtype):
    rng = np.random.default_rng(0)
    if name == "log":
        points = np.exp(rng.uniform(-40, 40, 600))
    else:
        points = np.concatenate([rng.uniform(-20, 20, 400), rng.normal(0, 1e-3, 200), [0.0, 80.0, -80.0]])
    points = points.astype(dtype)
    found = compile_unary(name, dtype)(points)
    wanted = np.array([float(REFERENCE[name](mpmath.mpf(float(x)))) for x in points])
    # near their zeros what counts is the size of the terms that cancel
    floor = {"softplus": 1e-7, "sine": 0.1, "cosine": 0.1}.get(name, 0.0)
    ulp = np.spacing(np.maximum(np.abs(wanted), floor).astype(dtype)).astype(float)
    assert np.max(np.abs(found.astype(float) - wanted) / ulp) < 5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*REFERENCE, "relu"])
def test_not_a_number_stays_so(name, dtype):
    assert np.isnan(compile_unary(name, dtype)([np.nan])).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_limits(dtype):
    assert compile_unary("sigmoid", dtype)([-1e4, 1e4, -np.inf, np.inf]) == pytest.approx([0, 1, 0, 1], abs=1e-30)
    assert compile_unary("tanh", dtype)([-1e4, 1e4]).tolist() == [-1, 1]
    assert compile_unary("log", dtype)([0.0, np.inf]).tolist() == [-np.inf, np.inf]
    assert np.isnan(compile_unary("log", dtype)([-1.0])).all()
