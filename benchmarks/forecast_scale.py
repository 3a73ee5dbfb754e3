"""How much memory does training a Forecaster on a large file take, and how long is it read?

The file has 50 million rows (series, time, value): 5,000 series of 10,000 hourly steps, one row in a hundred missing.
It is written into a temporary folder as Parquet and as CSV, in the order of series and in the order of time. Each is
read once and trained on for a short time in a process of its own, whose peak of resident memory is told.
Wanted: below 4 GB.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from measurement import save

WANTED_GB = 4.0
MISSING = 0.01
AT_ONCE = 1 << 20
SETTING = {"horizon": 48, "context": 336, "hidden_size": 64}
KINDS = ("parquet", "csv")
ORDERS = ("series", "time")


def rows(begin, end, series, steps, order):
    """Some of the rows of the table, all but those that are missing."""
    number = np.arange(begin, end)
    random = np.random.default_rng((0, begin))
    number = number[random.random(len(number)) >= MISSING]
    which, step = (number // steps, number % steps) if order == "series" else (number % series, number // series)
    level = 100 + which % 17 + 10 * np.sin(2 * np.pi * (step + which) / 24) + 5 * np.sin(2 * np.pi * step / 168)
    names = pl.Series("id", [f"series_{i:05d}" for i in range(series)])
    return pl.DataFrame(
        {
            "id": names.gather(which),
            "time": np.datetime64("2020-01-01", "us") + step * np.timedelta64(1, "h"),
            "value": np.round(level + random.standard_normal(len(number)), 3),
        }
    )


def write(path, series, steps, order):
    many = series * steps
    blocks = [(begin, min(begin + AT_ONCE, many)) for begin in range(0, many, AT_ONCE)]
    if path.suffix == ".csv":
        with path.open("wb") as file:
            for begin, end in blocks:
                piece = rows(begin, end, series, steps, order)
                piece.write_csv(file, include_header=begin == 0, datetime_format="%Y-%m-%d %H:%M:%S")
        return
    pieces = [path.with_name(f"{path.stem}_{i}.piece") for i in range(len(blocks))]
    for piece, (begin, end) in zip(pieces, blocks, strict=True):
        rows(begin, end, series, steps, order).write_parquet(piece)
    pl.scan_parquet(pieces).sink_parquet(path)
    for piece in pieces:
        piece.unlink()


def peak_gb():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def read(path):
    from ricorso.data.series import read_series

    before, began = peak_gb(), time.perf_counter()
    known = read_series(path)
    seconds = time.perf_counter() - began
    told = {"series": len(known), "steps": known.steps, "told": list(known.told)}
    return {"seconds": seconds, "peak_gb": peak_gb(), "peak_before_gb": before, **told}


def train(path, minutes):
    import ricorso

    began = time.perf_counter()
    forecaster = ricorso.Forecaster(**SETTING, minutes=minutes).fit(path)
    return {"seconds": time.perf_counter() - began, "peak_gb": peak_gb(), "best": forecaster.best_}


def in_a_process(*arguments):
    command = [sys.executable, __file__, *map(str, arguments)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=5_000)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=0.5, help="of each training [default: 0.5]")
    parser.add_argument("--folder", type=Path, help="where the temporary files lie")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=ORDERS)
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.job:
        job, path, order = chosen.job
        if job == "write":
            print(json.dumps(write(Path(path), chosen.series, chosen.steps, order)))
        else:
            print(json.dumps(read(path) if job == "read" else train(path, chosen.minutes)))
        return
    sizes = ("--series", chosen.series, "--steps", chosen.steps)
    found = []
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for kind in chosen.kinds:
            for order in chosen.orders:
                path = Path(folder) / f"table.{kind}"
                in_a_process(*sizes, "--job", "write", path, order)
                megabytes = path.stat().st_size / 1e6
                reading = in_a_process("--job", "read", path, order)
                training = in_a_process("--minutes", chosen.minutes, "--job", "train", path, order)
                path.unlink()
                found.append({"kind": kind, "order": order, "mb": megabytes, "read": reading, "train": training})
                print(
                    f"{kind:7} by {order:6}: {megabytes:,.0f} MB, read in {reading['seconds']:.1f} s "
                    f"(peak {reading['peak_gb']:.2f} GB), trained at a peak of {training['peak_gb']:.2f} GB"
                )
    worst = max(one["train"]["peak_gb"] for one in found)
    print(f"worst peak {worst:.2f} GB; {WANTED_GB:g} GB were wanted")
    table = {"series": chosen.series, "steps": chosen.steps, "rows": chosen.series * chosen.steps, "missing": MISSING}
    save("forecast_scale", {**table, "wanted_gb": WANTED_GB, "worst_gb": worst, "settings": SETTING, "files": found})


if __name__ == "__main__":
    main()
