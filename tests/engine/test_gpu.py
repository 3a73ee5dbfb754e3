"""Kernels for GPUs where there is none: run in Triton's interpreter, and compiled for a GPU that is not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ricorso.cells import CATALOGUE
from ricorso.engine import gpu, stages
from ricorso.engine.call import Call
from ricorso.equations.transform import folded, recurrent_dropout, zoneout

needs_triton = pytest.mark.skipif(bool(gpu.unavailable()), reason=gpu.unavailable() or "Triton is installed")


@needs_triton
def test_interpreted_kernels_equal_the_oracle():
    """In a process of its own, since Triton decides when it is imported whether it interprets."""
    cases = Path(__file__).with_name("interpreted_gpu.py")
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(cases)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert " passed" in done.stdout


class Absent:
    """As much of a driver as the compiler asks about a GPU."""

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)


@pytest.fixture
def compiled(monkeypatch, tmp_path):
    """What is launched is compiled for a Hopper GPU instead; the machine code of each kernel."""
    from triton.runtime import driver

    found = []

    def compile_only(kernel, grid, memory, numbers, constants, begin, end):
        made = kernel.warmup(memory, begin, end, *numbers, grid=grid, **constants)
        found.append(made.asm)

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(stages, "_start", compile_only)
    monkeypatch.setattr(driver, "_active", Absent())
    return found


def compile_both(cell, dtype, hidden=64, heads=1):
    inputs = torch.zeros(1, 4, 3, dtype=dtype)
    rows = len(cell.product_gates) * hidden
    call = Call(
        inputs,
        inputs.new_zeros(len(cell.input_gates) * hidden, 3),
        inputs.new_zeros(rows, hidden // heads) if rows else None,
        None,
        None,
        inputs.new_zeros(len(cell.parameters), hidden) if cell.parameters else None,
        inputs.new_zeros(len(cell.signals), 1, 4) if cell.signals else None,
        inputs.new_zeros(len(cell.states), 4, hidden),
    )
    output, finals, saved = gpu.forward(cell, call)
    gpu.backward(cell, call, saved, output, finals, True)


SOME = {
    "gru": (CATALOGUE["gru"], torch.bfloat16),
    "rglru": (CATALOGUE["rglru"], torch.float32),
    "cfc": (CATALOGUE["cfc"], torch.float64),
    "zoneout_sru": (zoneout(CATALOGUE["sru"]), torch.float16),
}


@needs_triton
@pytest.mark.parametrize("name", SOME)
def test_kernels_compile_for_a_gpu(name, compiled):
    cell, dtype = SOME[name]
    compile_both(folded(cell)[0], dtype)
    assert compiled
    assert all(".target sm_90" in code["ptx"] and code["cubin"] for code in compiled)


@needs_triton
@pytest.mark.long
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_cell_compiles_for_a_gpu(name, dtype, compiled):
    compile_both(folded(CATALOGUE[name])[0], dtype, hidden=96, heads=2)
    if CATALOGUE[name].product_gates:
        compile_both(folded(recurrent_dropout(CATALOGUE[name]))[0], dtype, hidden=100)
    assert all(code["cubin"] for code in compiled)


def test_without_triton_the_reason_is_told(monkeypatch):
    monkeypatch.setattr(gpu, "find_spec", lambda _: None)
    gpu.unavailable.cache_clear()
    assert "Triton is not installed" in gpu.unavailable()
    gpu.unavailable.cache_clear()
