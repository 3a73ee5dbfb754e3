"""How good are forecasts of M4's 414 hourly series? The competition's protocol: 48 hours ahead, season 24.

One global model for all series. The last 48 hours before the forecast are held out to calibrate intervals on; they
choose no weights, which are those at the end (one validation). OWA is the mean of the ratios of sMAPE and MASE to those
of Naive2 (18.383 and 2.395). Published: ES-RNN 0.440, seasonal naive 0.627, the organisers' RNN 1.036; weighted
quantile loss of GluonTS DeepAR 0.033, of the seasonal naive 0.048.
"""

import argparse
import gzip
import tempfile
from pathlib import Path

import numpy as np
from measurement import save

import ricorso
from ricorso.tasks.forecast.metrics import seasonal_naive

SETTING = {
    "horizon": 48, "season": 24, "context": 336, "segment": 24, "hidden_size": 128, "validations": 1,
    "learning_rate": 1e-3, "average": 0.998,
}  # fmt: skip
NAIVE2 = {"smape": 18.383, "mase": 2.395}


def rows(path):
    read = gzip.open if path.suffix == ".gz" else open
    with read(path, "rt") as file:
        lines = [line.replace('"', "").split(",") for line in file.read().splitlines()[1:]]
    return {name: np.array([float(value) for value in values if value]) for name, *values in lines}


def owa(figures):
    return (figures["smape"] / NAIVE2["smape"] + figures["mase"] / NAIVE2["mase"]) / 2


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder with Hourly-train.csv.gz and Hourly-test.csv")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--threads", type=int)
    chosen = parser.parse_args()
    if chosen.data is None or not chosen.data.exists():
        print("skipped: name the folder with --data FOLDER")
        return
    train, test = rows(chosen.data / "Hourly-train.csv.gz"), rows(chosen.data / "Hourly-test.csv")
    forecaster = ricorso.Forecaster(**SETTING, minutes=chosen.minutes, threads=chosen.threads)
    forecaster.fit(chosen.data / "Hourly-train.csv.gz")
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.csv"
        longest = max(len(train[name]) + len(test[name]) for name in train)
        lines = [",".join(f"V{n + 1}" for n in range(longest + 1))]
        for name in train:
            values = [f"{value:g}" for value in (*train[name], *test[name])]
            lines.append(",".join([name, *values, *[""] * (longest - len(values))]))
        whole.write_text("\n".join(lines) + "\n")
        figures = forecaster.evaluate(whole)
    worst = max(abs(seasonal_naive(train[name], 24, 48) - np.resize(train[name][-24:], 48)).max() for name in train)
    assert worst == 0
    answer = {"owa": owa(figures), "seasonal_naive_owa": owa(figures["seasonal_naive"]), **figures}
    print(*forecaster.told_, sep="\n")
    print({name: value for name, value in answer.items() if not isinstance(value, dict)})
    settings = forecaster.config_.model_dump()
    save(
        "forecast_m4",
        {
            "minutes": chosen.minutes,
            "figures": answer,
            "stretch": forecaster.stretch,
            "settings": settings,
            "training": forecaster.best_,
        },
    )


if __name__ == "__main__":
    main()
