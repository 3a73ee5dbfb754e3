"""Forecaster: learns what comes next in series, and says how sure it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from ricorso.data.frequency import Frequency
from ricorso.data.roles import Columns
from ricorso.data.series import SeriesSet, read_series
from ricorso.data.windows import Windows
from ricorso.engine.team import threads
from ricorso.equations import Cell
from ricorso.errors import DataError, RunError, UsageError
from ricorso.tasks.estimator import Estimator
from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.data import Calendar, ForecastData, chosen, fingerprint, prepare, tensors
from ricorso.tasks.forecast.metrics import figures, seasonal_naive
from ricorso.tasks.forecast.model import SegmentModel, scaled
from ricorso.tasks.forecast.work import ForecastWork, scale_for
from ricorso.training.listener import Listener

# what a table, a path or a frame may be
Source = Any
_WINDOWS_AT_ONCE = 2048


@dataclass(frozen=True)
class Hindsight:
    """A forecast beside what came: history (steps before), truth (horizon), quantiles (horizon, levels), and times."""

    name: str
    history: NDArray[np.float64]
    history_times: NDArray[Any]
    truth: NDArray[np.float64]
    times: NDArray[Any]
    quantiles: NDArray[np.float64]


class Forecaster(Estimator[ForecastConfig, ForecastData, SegmentModel]):
    """Forecasts of many series by one model: `fit` it, let it `predict`.

    The options are those of ForecastConfig. What is left open is chosen from the data; `told_` says what and why.
    Data may be the path of a CSV, JSONL or Parquet file, a polars or pandas frame, or a dict of columns: long (a column
    of times, one that names the series, one or several targets) or wide (a column or a row for each series).

    Fitted attributes: those of every task, `series_` (what it was fitted to, None in a loaded one) and `told_`.
    Raises UsageError for an unknown option.

    >>> Forecaster(horizon=24)
    Forecaster(horizon=24)
    """

    task: ClassVar[str] = "forecast"
    config_type = ForecastConfig
    series_: SeriesSet | None = None
    told_: tuple[str, ...] = ()

    def fit(self, data: Source, *, out: str | Path | None = None, listener: Listener | None = None) -> Self:
        """Train on a table, and keep the weights that did best on the last horizon of each series.

        out: a new run folder; left out, nothing is written. Raises DataError for data that cannot be used, UsageError
        for an option that cannot, TrainingError when training diverges or the disk refuses, TrainingInterrupted on
        Ctrl-C.
        """

        def read(config: ForecastConfig) -> tuple[ForecastData, Mapping[str, bytes]]:
            known = _read(data, config)
            self.config_, told = chosen(known, config)
            self.series_, self.told_ = known, (*known.told, *told)
            path = str(Path(data).resolve()) if isinstance(data, str | Path) else None
            self.data_ = fingerprint(known, path)
            return prepare(known, self.config_), {}

        return self._fit(read, out, listener)

    @classmethod
    def resume(
        cls, folder: str | Path, data: Source = None, _: None = None, *, listener: Listener | None = None
    ) -> Self:
        """Go on with a training that was stopped or killed; a finished one is loaded.

        data: the table, where it is not in the file that it was read from. Raises RunError when the folder is damaged
        or the data are others.
        """

        def read(self: Self, known: dict[str, Any]) -> ForecastData:
            source = known["path"] if data is None else data
            if source is None:
                raise RunError(f"The data of '{folder}' were in no file; give them again.")
            self.series_ = _read(source, self.config_, _columns(known), Frequency.from_json(known["frequency"]))
            if fingerprint(self.series_, None)["sha256"] != known["sha256"]:
                raise RunError("The data are not those that this run was trained on. Bring them back, or train anew.")
            return prepare(self.series_, self.config_)

        return cls._resume(Path(folder), read, listener)

    # --- what every task brings

    def _read(self, folder: Path) -> None:
        _columns(self.data_)

    def _files(self) -> dict[str, bytes]:
        return {}

    def _make(self, cell: Cell) -> SegmentModel:
        columns, frequency = _columns(self.data_), Frequency.from_json(self.data_["frequency"])
        return SegmentModel(cell, len(frequency.calendar_names) + len(columns.known), self.config_)

    def _work(self, data: ForecastData) -> ForecastWork:
        return ForecastWork(self.model_, data, self.config_)

    def _measures(self, data: ForecastData) -> bool:
        return data.validation is not None

    def _facts(self, data: ForecastData, work: ForecastWork) -> dict[str, Any]:
        return {
            "series": len(data.known.series),
            "windows": data.train.count,
            "about": f"{len(data.known.series):,} series, {data.train.count:,} windows to train on. "
            + "; ".join(self.told_),
        }

    # --- forecasting

    def predict(self, data: Source = None) -> pl.DataFrame:
        """The next `horizon` steps of each series, with a column for each quantile.

        data: newer values of the same or of other series, read as the training data were; left out, forecasts follow
        those. Columns: series, target (where there are several), the time, and q0.1 for the quantile 0.1 and so on.
        Raises DataError for data that cannot be read, and where known columns end before the horizon does.
        """
        known = self._series(data)
        windows = self._windows(known)
        numbers, origins = windows.last(ahead=True)
        self._check_known(known, numbers)
        found = self._quantiles(known, windows, numbers, origins)
        config, targets = self.config_, known.targets
        assert config.horizon is not None
        chosen_series = [known.series[int(number)] for number in numbers]
        ahead = np.arange(config.horizon)
        times = [known.frequency.at(series.start, series.steps + ahead) for series in chosen_series]
        rows = {
            "series": np.repeat([series.name for series in chosen_series], len(targets) * config.horizon),
            "target": np.tile(np.repeat(targets, config.horizon), len(chosen_series)),
            "time": np.concatenate([own for own in times for _ in targets]),
        }
        frame = pl.DataFrame(rows)
        if len(targets) == 1:
            frame = frame.drop("target")
        flat = found.reshape(-1, found.shape[-1])
        return frame.with_columns(pl.Series(f"q{level:g}", flat[:, n]) for n, level in enumerate(self.levels))

    def evaluate(self, data: Source = None) -> dict[str, Any]:
        """Measure forecasts of the last horizon of each series, made from what stands before it.

        Returns mae, rmse, smape, mase, wql and the coverage of intervals, the same of the seasonal naive method and of
        the last value, and how many series were long enough. Raises DataError when none was.
        """
        found = self.hindsight(data)
        season, horizon = self.config_.season, self.config_.horizon
        assert season is not None
        assert horizon is not None
        truth, histories = [one.truth for one in found], [one.history for one in found]
        naive = [seasonal_naive(history, season, horizon)[:, None] for history in histories]
        last = [seasonal_naive(history, 1, horizon)[:, None] for history in histories]
        return {
            **figures(truth, [one.quantiles for one in found], self.levels, histories, season),
            "seasonal_naive": figures(truth, naive, [0.5], histories, season),
            "naive": figures(truth, last, [0.5], histories, season),
            "series": len(found),
            "season": season,
            "horizon": horizon,
        }

    def backtest(self, data: Source = None, *, count: int = 10, stride: int | None = None) -> dict[str, float]:
        """Measure forecasts from `count` origins at the end of each series, `stride` steps apart (a horizon).

        The model is not trained anew. Returns mse, mae, wql and coverage over all of them, and how many there were.
        Raises DataError when no series is long enough.
        """
        found = self.hindsight(data, count=count, stride=stride)
        truth, quantiles = (
            np.concatenate([one.truth for one in found]),
            np.concatenate([one.quantiles for one in found]),
        )
        measured = figures([truth], [quantiles], self.levels, [np.zeros(2)], 1)
        kept = {name: value for name, value in measured.items() if name not in ("smape", "mase", "rmse")}
        return {"mse": measured["rmse"] ** 2, **kept, "forecasts": len(found)}

    def hindsight(self, data: Source = None, *, count: int = 1, stride: int | None = None) -> list[Hindsight]:
        """Forecasts of the last horizon of each series beside what came; one for each target.

        count, stride: from so many origins, so many steps apart. Raises DataError when no series is long enough.
        """
        known = self._series(data)
        windows = self._windows(known)
        numbers, origins = windows.rolling(count, stride)
        if not len(numbers):
            raise DataError("No series is long enough to be measured: each needs a horizon and something before it.")
        quantiles = self._quantiles(known, windows, numbers, origins)
        found = []
        for place, (number, origin) in enumerate(zip(numbers, origins, strict=True)):
            series = known.series[int(number)]
            end = int(origin) + windows.horizon
            for target, name in enumerate(known.targets):
                found.append(
                    Hindsight(
                        name=series.name if len(known.targets) == 1 else f"{series.name} {name}",
                        history=series.values[:origin, target],
                        history_times=known.frequency.at(series.start, np.arange(origin)),
                        truth=series.values[origin:end, target],
                        times=known.frequency.at(series.start, np.arange(origin, end)),
                        quantiles=quantiles[place, target],
                    )
                )
        return found

    @property
    def levels(self) -> Sequence[float]:
        """Which quantiles a forecast has."""
        return self.config_.quantiles if self.config_.loss == "quantile" else (0.5,)

    def _series(self, data: Source) -> SeriesSet:
        self._check_fitted()
        if data is not None:
            return _read(data, self.config_, _columns(self.data_), Frequency.from_json(self.data_["frequency"]))
        if self.series_ is None:
            path = self.data_["path"]
            if path is None:
                raise UsageError("This Forecaster was loaded, and its data were in no file; give the data.")
            self.series_ = _read(path, self.config_, _columns(self.data_), Frequency.from_json(self.data_["frequency"]))
        return self.series_

    def _windows(self, known: SeriesSet) -> Windows:
        config = self.config_
        assert config.context is not None
        assert config.horizon is not None
        minimum = min(config.context, 2)
        return Windows(known, config.context, config.horizon, 1, config.seed, minimum_context=minimum)

    def _check_known(self, known: SeriesSet, numbers: NDArray[np.int64]) -> None:
        horizon = self.config_.horizon
        assert horizon is not None
        for number in numbers if known.columns.known else ():
            series = known.series[int(number)]
            if series.known_ahead < horizon or bool(
                np.isnan(series.known[series.steps : series.steps + horizon]).any()
            ):
                raise DataError(
                    f"Series '{series.name}' ends {series.known_ahead} steps before its known columns "
                    f"({', '.join(known.columns.known)}) do; a forecast of {horizon} steps needs them as far ahead. "
                    f"Add rows with their values and the target left empty."
                )

    @torch.no_grad()
    def _quantiles(
        self, known: SeriesSet, windows: Windows, numbers: NDArray[np.int64], origins: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """(windows, targets, horizon, quantiles)."""
        calendar = Calendar(known, windows.context, windows.horizon)
        found = []
        with threads(self.config_.threads):
            for begin in range(0, len(numbers), _WINDOWS_AT_ONCE):
                piece = slice(begin, begin + _WINDOWS_AT_ONCE)
                batch = tensors(windows.at(numbers[piece], origins[piece]), calendar, windows.context)
                scale = scale_for(batch.past, self.config_)
                found.append(scaled(self.model_, batch.past, batch.features, scale).double().numpy())
        whole = np.concatenate(found)
        return whole.reshape(len(numbers), len(known.targets), *whole.shape[1:])


def _read(
    data: Source, config: ForecastConfig, columns: Columns | None = None, frequency: Frequency | None = None
) -> SeriesSet:
    roles: dict[str, Any] = {"columns": columns}
    if columns is None:
        names = ("time", "series", "targets", "known", "season")
        roles = {name: getattr(config, name) for name in names}
    return read_series(
        data, frequency=frequency or config.frequency, sort=config.sort, duplicates=config.duplicates, **roles
    )


def _columns(facts: Mapping[str, Any]) -> Columns:
    return Columns.from_json(facts["columns"])
