"""The example on the sine wave runs, tells its errors and draws."""

from example import run


def test_it_tells_its_errors_and_draws(tmp_path):
    page = tmp_path / "sine.html"
    told = run("sine", "--steps", "150", "--hidden", "8", "--out", str(page), folder=tmp_path)
    error = float(told.split("period: ")[1].split()[0])
    assert 0 < error < 0.2
    assert "shifted by" in told
    assert "running free" in page.read_text(encoding="utf-8")
