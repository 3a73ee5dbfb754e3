"""How much memory a run takes: what its peak adds to what the process held before."""

import resource
import subprocess
import sys
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def growth(run):
    """Bytes that the peak of a run adds; where the system cannot set the peak back, to the peak before."""
    if not CLEAR.exists():
        before = _peak()
        run()
        return _peak() - before
    CLEAR.write_text("5", encoding="ascii")  # the peak starts again from what is held now
    before = _field("VmRSS")
    run()
    return _field("VmHWM") - before


def in_a_process_of_its_own(file, *arguments):
    """The number that a benchmark prints when it is called with these arguments."""
    command = [sys.executable, file, *map(str, arguments)]
    return int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def _field(name):
    (line,) = (line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def _peak():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
