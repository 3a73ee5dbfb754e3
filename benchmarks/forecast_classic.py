"""Does one default command beat the seasonal naive method on classic series? MASE of a horizon that nothing has seen.

Air passengers and sunspots by month, minimum temperatures by day: each is learnt without its last season, with nothing
chosen by hand, and measured on it.
"""

import argparse
from pathlib import Path

from measurement import save

import ricorso
from ricorso.data.table import read_table

SERIES = ("airline-passengers.csv", "monthly-sunspots.csv", "daily-min-temperatures.csv")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder with the three tables")
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--threads", type=int)
    chosen = parser.parse_args()
    if chosen.data is None or not chosen.data.exists():
        print("skipped: name the folder with --data FOLDER")
        return
    rows = []
    for name in SERIES:
        table = read_table(chosen.data / name)
        forecaster = ricorso.Forecaster(minutes=chosen.minutes, threads=chosen.threads)
        season = 7 if name.startswith("daily") else 12
        forecaster.fit(table[:-season])
        figures = forecaster.evaluate(table)
        naive = figures["seasonal_naive"]["mase"]
        print(f"{name}: MASE {figures['mase']:.3f}, seasonal naive {naive:.3f}; {forecaster.told_}", flush=True)
        rows.append({"series": name, "figures": figures})
    save("forecast_classic", {"minutes": chosen.minutes, "rows": rows})


if __name__ == "__main__":
    main()
