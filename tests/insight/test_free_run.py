import json
import re
from pathlib import Path

import numpy as np
import pytest

from ricorso.insight.free_run import FreeRun, phase_shift, save_free_runs

WAVE = np.sin(2 * np.pi * np.arange(60) / 20)
RUN = FreeRun("a <wave>", WAVE, WAVE[10:40] + 0.1, WAVE[40:] - 0.3)


def test_errors_are_those_of_their_own_steps() -> None:
    assert RUN.begin == 40
    assert RUN.error == pytest.approx(0.1)
    assert RUN.free_error == pytest.approx(0.3)


def test_the_page_holds_the_three_lines_at_their_places(tmp_path: Path) -> None:
    text = save_free_runs(tmp_path / "wave.html", "Wave", [RUN]).read_text(encoding="utf-8")
    assert "a &lt;wave&gt;" in text
    (found,) = json.loads(re.search(r'id="free-runs">(.*?)</script>', text)[1])
    assert len(found["original"]["x"]) == 60
    assert (found["predicted"]["x"][0], found["predicted"]["x"][-1]) == (10, 39)
    assert (found["free"]["x"][0], found["free"]["x"][-1]) == (40, 59)
    own = re.sub(r"<script>.*?</script>", "", text, count=1, flags=re.DOTALL)
    assert not re.search(r"(?:src|href)=|https?://|@import|url\(", own)


@pytest.mark.parametrize("steps", [-3.0, 0.0, 2.5])
def test_a_shift_is_measured_in_steps(steps: float) -> None:
    late = np.sin(2 * np.pi * (np.arange(60) - steps) / 20)
    assert phase_shift(late, WAVE, 20) == pytest.approx(steps, abs=1e-6)
