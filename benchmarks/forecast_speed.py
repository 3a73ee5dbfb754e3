"""Does anything hold the kernels of a forecast back? 414 series of the size of M4's hourly ones, 48 hours ahead.

Three figures: the share of the training time that is spent forward and backward in the model (the rest is making
batches, the optimiser and bookkeeping), for both models; and the time to draw 200 paths of 48 steps for all series.
"""

import time

import numpy as np
from measurement import options, save

import ricorso

SERIES, LENGTH, HORIZON, PATHS = 414, 900, 48, 200
SETTINGS = {
    "segments": {"context": 336, "segment": 24, "hidden_size": 128},
    "autoregressive": {"context": 96, "lags": (24, 168), "hidden_size": 64},
}


def table():
    """A daily and a weekly wave with noise, on levels from 10 to 10,000."""
    draw = np.random.default_rng(0)
    hours = np.arange(LENGTH)
    names, values = [], []
    for number in range(SERIES):
        wave = 3 + np.sin(hours * 2 * np.pi / 24 + draw.random()) + np.sin(hours * 2 * np.pi / 168)
        names += [f"s{number}"] * LENGTH
        values.append(10 ** draw.uniform(1, 4) * (wave + 0.1 * draw.normal(size=LENGTH)))
    return {"series": names, "value": np.concatenate(values)}


def main():
    options(__doc__).parse_args()
    data, rows = table(), {}
    for model, setting in SETTINGS.items():
        forecaster = ricorso.Forecaster(
            model=model, horizon=HORIZON, season=24, minutes=0.5, validation_fraction=0.0, **setting
        ).fit(data)
        assert forecaster.data_["series"] == SERIES
        shares = next(line["time"] for line in forecaster.metrics_ if line["kind"] == "end")
        inside = shares["forward"] + shares["backward"]
        rows[model] = {"in the model": inside, "shares": shares, "steps": forecaster.best_["steps"]}
        print(f"{model:15} {inside:.1%} of the time in the model {shares}", flush=True)
    times = []
    for seed in range(5):
        begin = time.perf_counter()
        drawn = forecaster.sample(paths=PATHS, seed=seed)
        times.append(time.perf_counter() - begin)
    assert len(drawn) == SERIES * PATHS * HORIZON
    assert np.isfinite(drawn["value"].to_numpy()).all()
    print(f"{PATHS} paths of {HORIZON} steps for {SERIES} series: {sorted(times)[2]:.2f} s ({times})")
    save("forecast_speed", {"training": rows, "sampling_seconds": times, "hidden_size": 64, "settings": SETTINGS})


if __name__ == "__main__":
    main()
