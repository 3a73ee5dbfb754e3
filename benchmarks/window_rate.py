"""How many windows a second are cut from series in memory? 336 + 48 steps of one target, in batches of 64 to 1024.

The series are 5,000 of 10,000 hourly steps (`--series`, `--steps`), more than any cache holds, and windows are drawn
from all of them. Checked first: windows are those of a plain slice. Wanted: 100,000 windows a second. Also measured:
the same with gaps in the series, in the random order of a whole epoch, and with the features of the calendar.
"""

import argparse
from itertools import count

import numpy as np
from measurement import alternate, save

from ricorso.data.frequency import Frequency
from ricorso.data.roles import Columns
from ricorso.data.series import Series, SeriesSet
from ricorso.data.series_calendar import SeriesCalendar
from ricorso.data.windows import Windows

CONTEXT, HORIZON, WANTED = 336, 48, 100_000
BATCHES = (64, 256, 1024)


def made(series, steps, gaps):
    """Hourly series in one array, as `read_series` leaves them."""
    random = np.random.default_rng(0)
    whole = random.standard_normal((series * steps, 1))
    if gaps:
        whole[random.random(len(whole)) < 0.1] = np.nan
    nothing = np.zeros((steps, 0), np.float32)
    start = np.datetime64("2020-01-01", "us")
    pieces = (whole[i * steps : (i + 1) * steps] for i in range(series))
    many = tuple(Series(f"s{i}", start, piece, nothing, nothing) for i, piece in enumerate(pieces))
    return SeriesSet(many, Frequency.parse("hour"), Columns("time", "series", ("value",)))


def check(windows, batch):
    for i, (number, origin) in enumerate(zip(batch.series.tolist(), batch.origin.tolist(), strict=True)):
        begin = max(origin - CONTEXT, 0)
        plain = windows.source[number].values[begin : origin + HORIZON].astype(np.float32)
        np.testing.assert_array_equal(batch.values[CONTEXT - origin + begin :, i], plain)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=5_000)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement [default: 2]")
    chosen = parser.parse_args()
    rows = []
    for gaps in (False, True):
        known = made(chosen.series, chosen.steps, gaps)
        calendar = SeriesCalendar(known, known.frequency.calendar_names, CONTEXT, HORIZON)
        for size in BATCHES:
            drawn = Windows(known, CONTEXT, HORIZON, size, seed=0, per_epoch=50_000)
            each = Windows(known, CONTEXT, HORIZON, size, seed=0)
            check(drawn, drawn.batch(0, 0))
            check(each, each.batch(0, 0))
            number = count()
            ways = {
                "drawn": lambda: drawn.batch(0, next(number)),  # noqa: B023
                "each once": lambda: each.batch(0, next(number)),  # noqa: B023
                "with calendar": lambda: calendar.of(drawn.batch(0, next(number))),  # noqa: B023
            }
            rates = {name: size / time.median for name, time in alternate(ways, chosen.seconds).items()}
            rows.append({"batch": size, "gaps": gaps, "windows": each.count, **rates})
            told = ", ".join(f"{name} {many:,.0f}" for name, many in rates.items())
            print(f"batch {size:5}, {'with gaps' if gaps else 'no gaps':9}: windows a second {told}")
    least = min(row["drawn"] for row in rows)
    print(f"least: {least:,.0f} windows a second; {WANTED:,} were wanted")
    sizes = {"series": chosen.series, "steps": chosen.steps, "context": CONTEXT, "horizon": HORIZON}
    save("window_rate", {**sizes, "wanted": WANTED, "rates": rows, "least": least})


if __name__ == "__main__":
    main()
