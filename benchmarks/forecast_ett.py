"""How good are long forecasts of the seven hourly series of ETTh1? The protocol of the long-horizon papers.

8,640 hours train, 2,880 validate, 2,880 test; values are standardised with the mean and deviation of the training part;
every window of the test part counts, none is dropped. Mean squared and absolute error over all seven. Look-backs, and
the mean of networks with one each, are tried, each with --seeds networks trained apart; measured is the mean of their
forecasts. The look-back whose mean has the smallest error over every window of the validation part is
chosen for each horizon. Published (look-back 720): SegRNN .351/.392 at 96 and .466/.472 at 720; a plain GRU about 1.1.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from measurement import beside_kept, save

import ricorso

TRAIN, VALIDATION, TEST = 8640, 2880, 2880
SETTING = {
    "segment": 48, "hidden_size": 128, "scaling": "none", "difference": True, "loss": "mae",
    "learning_rate": 5e-4, "average": 0.99, "dropout": 0.5, "validation_fraction": VALIDATION / (TRAIN + VALIDATION),
    "windows_per_epoch": 8000, "season": 24,
}  # fmt: skip


def medians(forecaster, table, count):
    """Of each window that ends in the last steps of a table, and what came, (windows, horizon)."""
    found = forecaster.hindsight(table, count=count, stride=1)
    middle = len(forecaster.levels) // 2
    return np.stack([one.quantiles[:, middle] for one in found]), np.stack([one.truth for one in found])


def errors(forecasts, truth):
    return {
        "mse": round(float(((forecasts - truth) ** 2).mean()), 5),
        "mae": round(float(np.abs(forecasts - truth).mean()), 5),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="ETTh1.csv, plain or .gz")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--horizons", type=int, nargs="+", default=[96, 720])
    parser.add_argument("--look-backs", nargs="+", default=["336", "720", "336,720"], help="336,720: the mean of both")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--name", default="forecast_ett", help="name of the result")
    chosen = parser.parse_args()
    if chosen.data is None or not chosen.data.exists():
        print("skipped: name the table with --data ETTh1.csv.gz")
        return
    table = pl.read_csv(chosen.data, try_parse_dates=True)[: TRAIN + VALIDATION + TEST]
    names = [name for name in table.columns if name != "date"]
    known = table[:TRAIN]
    table = table.with_columns([(pl.col(n) - known[n].mean()) / known[n].std(ddof=0) for n in names])
    seen = table[: TRAIN + VALIDATION]
    rows = []
    for horizon in chosen.horizons:
        tried = []
        for look_back in chosen.look_backs:
            several = tuple(map(int, look_back.split(",")))
            own = {"contexts": several} if len(several) > 1 else {"context": several[0]}
            said, each = [], []
            for seed in range(chosen.seeds):
                setting = SETTING | own | {"horizon": horizon, "seed": seed}
                forecaster = ricorso.Forecaster(**setting, epochs=chosen.epochs, threads=chosen.threads)
                forecaster.fit(seen)
                parts = (seen, VALIDATION - horizon + 1), (table, TEST - horizon + 1)
                (held_out, held_out_truth), (test, truth) = (medians(forecaster, *part) for part in parts)
                assert len(test) == (TEST - horizon + 1) * len(names)
                said.append((held_out, test))
                each.append({"seed": seed, "validation": errors(held_out, held_out_truth), "test": errors(test, truth)})
                print(horizon, look_back, each[-1], forecaster.best_, flush=True)
            held_out, test = (np.mean(part, axis=0) for part in zip(*said, strict=True))
            row = {"validation": errors(held_out, held_out_truth), "test": errors(test, truth), "each": each}
            tried.append({"horizon": horizon, "look_back": look_back, **row})
            print(tried[-1], flush=True)
            settings = forecaster.config_.model_dump()
        best = min(tried, key=lambda row: row["validation"]["mae"])
        rows += [row | {"chosen": row is best} for row in tried]
    assert np.isfinite([row["test"]["mse"] for row in rows]).all()
    save(chosen.name, {"rows": beside_kept(chosen.name, rows, "horizon"), "settings": settings})


if __name__ == "__main__":
    main()
