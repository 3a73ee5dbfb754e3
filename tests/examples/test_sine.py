"""The example on the sine wave runs, tells its errors and draws."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "sine.py"


def test_it_tells_its_errors_and_draws(tmp_path):
    page = tmp_path / "sine.html"
    command = [sys.executable, str(EXAMPLE), "--steps", "150", "--hidden", "8", "--out", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    error = float(done.stdout.split("period: ")[1].split()[0])
    assert 0 < error < 0.2
    assert "shifted by" in done.stdout
    assert "running free" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("steps", [-3.0, 0.0, 2.5])
def test_a_shift_is_measured_in_steps(steps):
    namespace = runpy.run_path(str(EXAMPLE))
    times = np.arange(50)
    wave, late = (np.sin(2 * np.pi * (times - by) / namespace["PERIOD"]) for by in (0.0, steps))
    assert namespace["phase_shift"](late, wave) == pytest.approx(steps, abs=1e-6)
