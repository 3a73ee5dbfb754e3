"""A browser that opens pages without a window, where there is one."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def undrawn(page: Path) -> list[str]:
    """Open a page and return the places of its charts in which nothing was drawn; skips where there is no browser."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        pytest.skip(f"needs one of {', '.join(NAMES)}")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900", "--virtual-time-budget=3000"]
    command = [browser, *flags, f"--user-data-dir={page.parent / 'browser'}", "--dump-dom", page.resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    charts = [chart for _, chart in re.findall(r'<div class="chart[^"]*">(<h\d>[^<]*</h\d>)?<div([^>]*)>', done.stdout)]
    assert charts
    return [chart for chart in charts if "js-plotly-plot" not in chart]
