import subprocess
import sys

import pytest
from llvmlite import binding as llvm

from ricorso.kernels import available
from ricorso.kernels.llvm import host as host_module

FMA = {"fma": True, "avx2": True}


class Features(dict):
    def flatten(self):
        return ",".join(f"+{name}" for name in self)


@pytest.fixture
def fresh(monkeypatch):
    """The probe without its memory."""
    monkeypatch.setattr(host_module, "host", host_module.host.__wrapped__)
    monkeypatch.setattr(available, "unavailable", available.unavailable.__wrapped__)
    return available


@pytest.mark.parametrize(
    ("triple", "features", "reason"),
    [
        ("riscv64-unknown-linux-gnu", FMA, "64-bit x86 and ARM, this is riscv64"),
        ("i686-pc-linux-gnu", FMA, "this is i686"),
        ("aarch64_be-unknown-linux-gnu", {}, "this is aarch64_be"),
        ("unknown", {}, "this is unknown"),
        ("x86_64-unknown-linux-gnu", {"avx512f": True, "sse2": True}, "no fused multiply-add"),
    ],
)
def test_a_processor_that_kernels_cannot_do_is_a_reason(fresh, monkeypatch, triple, features, reason):
    monkeypatch.setattr(llvm, "get_process_triple", lambda: triple)
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: Features(features))
    assert reason in fresh.unavailable()


def test_a_processor_that_llvm_does_not_know_is_a_reason(fresh, monkeypatch):
    def unknown():
        raise RuntimeError("failed to get host cpu features.")

    monkeypatch.setattr(llvm, "get_host_cpu_features", unknown)
    assert "failed to get host cpu features" in fresh.unavailable()
    monkeypatch.undo()
    assert available.unavailable() == ""


def test_a_missing_llvmlite_is_a_reason(fresh, monkeypatch):
    monkeypatch.setitem(sys.modules, "ricorso.kernels.llvm.host", None)
    assert fresh.unavailable().startswith("llvmlite cannot be imported")


def test_memory_that_may_not_run_is_a_reason(fresh, monkeypatch):
    assert available.may_run_new_code()
    monkeypatch.setattr(available, "may_run_new_code", lambda: False)
    assert "executable" in fresh.unavailable()


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel to forbid it")
def test_a_process_that_may_not_run_new_code_knows():
    code = """
import ctypes
refuse_exec_gain = 65
forbidden = ctypes.CDLL(None).prctl(refuse_exec_gain, 1, 0, 0, 0) == 0
from ricorso.kernels.available import may_run_new_code
assert may_run_new_code() is not forbidden
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_warning_comes_once(monkeypatch):
    monkeypatch.setattr(available, "unavailable", lambda: "a test says so")
    with pytest.warns(RuntimeWarning, match="a test says so.*10 to 100 times slower") as caught:
        assert [available.missing() for _ in range(3)] == ["a test says so"] * 3
    assert len(caught) == 1
