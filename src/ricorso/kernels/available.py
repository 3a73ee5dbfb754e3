"""Whether kernels can be compiled and run in this process, and the one warning where they cannot."""

import ctypes
import mmap
import sys
import warnings
from functools import cache


@cache
def unavailable() -> str:
    """Empty when they can, else the reason why not."""
    try:
        from ricorso.kernels.llvm.host import host, target_machine

        target_machine(host())
    except ImportError as error:
        return f"llvmlite cannot be imported ({error})"
    except (OSError, RuntimeError) as error:
        return f"llvmlite cannot be used here ({error})"
    if not may_run_new_code():
        return "this process may not make memory executable"
    return ""


def missing() -> str:
    """As `unavailable`; the first time that there is a reason, a RuntimeWarning says what is lost."""
    reason = unavailable()
    if reason:
        _warn(reason)
    return reason


@cache
def _warn(reason: str) -> None:
    warnings.warn(
        f"Compiled kernels are not available: {reason}. Cells and streams run as a plain torch loop, exact but 10 to "
        f"100 times slower; cells that are linear in their state run as a parallel scan; the LSTM, the GRU and Elman "
        f"networks run through torch's own kernels, unless their input is token ids.",
        RuntimeWarning,
        stacklevel=3,
    )


@cache
def may_run_new_code() -> bool:
    """Some services may not (systemd's MemoryDenyWriteExecute, SELinux); there a kernel would end the process."""
    if sys.platform != "linux":
        return True
    with mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as page:
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        protect = ctypes.CDLL(None).mprotect
        protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        return bool(protect(address, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC) == 0)
