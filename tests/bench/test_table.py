import pytest

from ricorso.bench.table import bar, duration, lines
from ricorso.bench.timing import Timing


def test_the_table_has_times_ratios_bars_and_means(report):
    shown = lines(report)
    assert shown[0] == "some <processor> (x86_64), 2 threads, torch 2.13.0; large products run at 200 GFLOP/s."
    start = shown.index("Training step: forward and backward over 100 steps")
    assert shown[start + 1].split() == ["cell", "units", "batch", "Ricorso", "torch", "x", "torch", "of", "products"]
    assert shown[start + 2].split() == [
        "lstm",
        "128",
        "1",
        "1.00",
        "ms",
        "±10%",
        "1.00",
        "ms",
        "±10%",
        "1.00",
        "█▊",
        "50%",
    ]
    assert shown[start + 3].split()[-3:] == ["4.00", "█" * 7, "50%"]
    assert shown[start + 4].split() == ["lstm", "mean", "2.00", "███▌"]
    assert "Training step: forward and backward over 100 steps, beside a torch loop" in shown
    assert max(map(len, shown)) <= 120


def test_peers_have_columns_of_their_own(report):
    (row,) = (line for line in lines(report) if line.startswith("  lstm") and "25.0 µs" in line)
    assert row.split()[3:] == [
        "50.0",
        "µs",
        "±10%",
        "100",
        "µs",
        "±10%",
        "25.0",
        "µs",
        "±10%",
        "2.00",
        "0.50",
        "███▌",
        "50%",
    ]


def test_what_was_not_timed_is_told(report):
    shown = lines(report)
    assert any("results differ" in line and line.startswith("  gru") for line in shown)
    assert "NOT TIMED: step, gru, 128 units, batch 1: results differ by 2.5e-01 from torch." in shown


def test_another_path_is_marked(report):
    shown = lines(report)
    assert sum("±10%*" in line for line in shown) == 1
    assert "* not through our own kernels: torch: torch's own kernel." in shown


def test_a_disturbed_machine_is_told(report):
    assert not any(line.startswith("Disturbed") for line in lines(report))
    answer = report.answers[0]
    answer.times["torch"] = Timing(1e-3, 0.8e-3, 1.4e-3, 5)
    assert any(
        line.startswith("Disturbed: in 1 of 6 comparisons times scatter by more than 20%.") for line in lines(report)
    )


def test_bars_of_plain_characters(report):
    assert all(line.isascii() for line in (line.replace("±", "").replace("µ", "") for line in lines(report, " #")))


@pytest.mark.parametrize(
    ("median", "told"),
    [(2.5, "2.50 s ±20%"), (0.0123, "12.3 ms ±20%"), (4.56e-6, "4.56 µs ±20%"), (1e-7, "0.10 µs ±20%")],
)
def test_durations(median, told):
    assert duration(Timing(median, 0.8 * median, 1.2 * median, 5)) == told


def test_a_bar_stays_within_its_width():
    assert bar(2.0, " #", 4) == "####"
    assert bar(-1.0, " #", 4) == "    "
    assert bar(1 / 16, " ▏▎▍▌▋▊▉█", 2) == "▏ "
