"""Forecaster: learns what comes next in series, and says how sure it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

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
from ricorso.tasks.forecast.autoregressive import AutoregressiveModel
from ricorso.tasks.forecast.choice import chosen
from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.data import Batches, ForecastData, fingerprint, prepare
from ricorso.tasks.forecast.heads import Point
from ricorso.tasks.forecast.inputs import Encoding, InputSizes
from ricorso.tasks.forecast.metrics import measures
from ricorso.tasks.forecast.model import ForecastModel, make_model
from ricorso.tasks.forecast.work import ForecastWork, scale_for
from ricorso.training.listener import Listener

if TYPE_CHECKING:
    from ricorso.tasks.forecast.plot import ForecastPlot

# what a table, a path or a frame may be
Source = Any
_WINDOWS_AT_ONCE = 2048


@dataclass(frozen=True)
class Hindsight:
    """A forecast beside what came: history (steps before), truth (horizon) and quantiles (horizon, levels).

    start: the time of the history's first step; frequency: how far its steps are apart.
    """

    name: str
    history: NDArray[np.float64]
    truth: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    start: Any
    frequency: Frequency

    @property
    def history_times(self) -> NDArray[Any]:
        """The times of the history."""
        return self.frequency.at(self.start, np.arange(len(self.history)))

    @property
    def times(self) -> NDArray[Any]:
        """The times that were forecast."""
        return self.frequency.at(self.start, len(self.history) + np.arange(len(self.truth)))


class Forecaster(Estimator[ForecastConfig, ForecastData, ForecastModel]):
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

        def prepared(config: ForecastConfig) -> tuple[ForecastData, Mapping[str, bytes]]:
            known = read(data, config)
            self.config_, told = chosen(known, config)
            self.series_, self.told_ = known, (*known.told, *told)
            path = str(Path(data).resolve()) if isinstance(data, str | Path) else None
            self.data_ = fingerprint(known, path) | {"encoding": Encoding.of(known).to_json()}
            return prepare(known, self.config_), {}

        return self._fit(prepared, out, listener)

    @classmethod
    def resume(
        cls, folder: str | Path, data: Source = None, _: None = None, *, listener: Listener | None = None
    ) -> Self:
        """Go on with a training that was stopped or killed; a finished one is loaded.

        data: the table, where it is not in the file that it was read from. Raises RunError when the folder is damaged
        or the data are others.
        """

        def prepared(self: Self, known: dict[str, Any]) -> ForecastData:
            source = known["path"] if data is None else data
            if source is None:
                raise RunError(f"The data of '{folder}' were in no file; give them again.")
            self.series_ = read(source, self.config_, _columns(known), Frequency.from_json(known["frequency"]))
            if fingerprint(self.series_, None)["sha256"] != known["sha256"]:
                raise RunError("The data are not those that this run was trained on. Bring them back, or train anew.")
            return prepare(self.series_, self.config_)

        return cls._resume(Path(folder), prepared, listener)

    # --- what every task brings

    def _read(self, folder: Path) -> None:
        _columns(self.data_)
        self._encoding()

    def _files(self) -> dict[str, bytes]:
        return {}

    def _make(self, cell: Cell) -> ForecastModel:
        sizes = self._encoding().sizes
        features = len(self.config_.calendar or ()) + sizes.features
        return make_model(cell, InputSizes(features, sizes.past, sizes.numbers, sizes.categories), self.config_)

    def _work(self, data: ForecastData) -> ForecastWork:
        return ForecastWork(self.model_, data, self._encoding(), self.config_)

    def _encoding(self) -> Encoding:
        return Encoding.from_json(self.data_["encoding"])

    def _measures(self, data: ForecastData) -> bool:
        return data.validation is not None

    def _facts(self, data: ForecastData, work: ForecastWork) -> dict[str, Any]:
        return {
            "series": len(data.known.series),
            "windows": data.train.count,
            "about": f"{len(data.known.series):,} series, {data.train.count:,} windows to train on. "
            + "; ".join(self.told_),
        }

    def _finish(self, data: ForecastData) -> None:
        self.told_ = (*self.told_, *self._work(data).calibrate())

    # --- forecasting

    def predict(self, data: Source = None, *, quantiles: Sequence[float] | None = None) -> pl.DataFrame:
        """The next `horizon` steps of each series, with a column for each quantile.

        data: newer values of the same or of other series, read as the training data were; left out, forecasts follow
        those. quantiles: others than those of the config. Columns: series, target (where there are several), the time,
        and q0.1 for the quantile 0.1 and so on. Raises DataError for data that cannot be read, and where known columns
        end before the horizon does; UsageError for quantiles beyond those that were learnt.
        """
        self._check_fitted()
        levels = self._asked(quantiles)
        known = self._series(data)
        windows, numbers, origins = self._ahead(known)
        found = self._quantiles(known, windows, numbers, origins, levels)
        frame = self._frame(known, numbers, 1)
        flat = found.reshape(-1, found.shape[-1])
        return frame.with_columns(pl.Series(f"q{level:g}", flat[:, n]) for n, level in enumerate(levels))

    def _asked(self, quantiles: Sequence[float] | None) -> tuple[float, ...]:
        if quantiles is None:
            return tuple(self.levels)
        if isinstance(self.model_.head, Point):
            raise UsageError(f"A model of loss {self.config_.loss} gives one value and no quantiles.")
        if not quantiles or not all(0 < level < 1 for level in quantiles):
            raise UsageError(f"quantiles should lie between 0 and 1, got {list(quantiles)}.")
        return tuple(sorted(quantiles))

    @torch.no_grad()
    def sample(self, data: Source = None, *, paths: int = 100, seed: int = 0) -> pl.DataFrame:
        """Possible futures of each series, each drawn step by step: columns series, target, path, time, value.

        data: as for `predict`. The same seed gives the same paths. Raises UsageError for a model that is not
        autoregressive, since only that one knows how the steps of a future hang together.
        """
        self._check_fitted()
        model = self.model_
        if not isinstance(model, AutoregressiveModel) or isinstance(model.head, Point):
            raise UsageError(
                "Paths are drawn from an autoregressive model of a distribution; this one is of "
                f"{self.config_.model} with loss {self.config_.loss}. Train with model='autoregressive'."
            )
        if paths < 1:
            raise UsageError(f"paths must be 1 or more, got {paths}.")
        known = self._series(data)
        windows, numbers, origins = self._ahead(known)
        batches, found = Batches(known, windows, self._encoding(), self.config_), []
        with threads(self.config_.threads):
            for begin in range(0, len(numbers), _WINDOWS_AT_ONCE):
                piece = slice(begin, begin + _WINDOWS_AT_ONCE)
                batch = batches.at(numbers[piece], origins[piece])
                found.append(model.paths(batch, scale_for(batch.past, self.config_), paths, seed + begin))
        flat = torch.cat(found).double().numpy().reshape(-1)
        return self._frame(known, numbers, paths).with_columns(value=pl.Series(flat))

    def _ahead(self, known: SeriesSet) -> tuple[Windows, NDArray[np.int64], NDArray[np.int64]]:
        """The windows after which the future of each series comes."""
        windows = self._windows(known)
        numbers, origins = windows.last(ahead=True)
        self._check_known(known, numbers)
        return windows, numbers, origins

    def _frame(self, known: SeriesSet, numbers: NDArray[np.int64], paths: int) -> pl.DataFrame:
        """What each row of a forecast is of: series, target where there are several, path if wanted, and time."""
        horizon, targets = self.model_.horizon, known.targets
        series = [known.series[int(number)] for number in numbers]
        times = [known.frequency.at(one.start, one.steps + np.arange(horizon)) for one in series]
        rows = {
            "series": _repeated([one.name for one in series], len(targets) * paths * horizon),
            "target": _repeated(targets, paths * horizon, len(series)),
            "path": np.tile(np.repeat(np.arange(paths), horizon), len(series) * len(targets)),
            "time": np.concatenate([np.tile(own, len(targets) * paths) for own in times]),
        }
        unwanted = [name for name, many in (("target", len(targets)), ("path", paths)) if many == 1]
        return pl.DataFrame(rows).drop(unwanted)

    def evaluate(self, data: Source = None) -> dict[str, Any]:
        """Measure forecasts of the last horizon of each series, made from what stands before it.

        Returns mae, rmse, smape, mase, wql and the coverage of intervals, the same of the seasonal naive method and of
        the last value, and how many series were long enough. Raises DataError when none was.
        """
        season, horizon = self.config_.season, self.config_.horizon
        assert season is not None
        assert horizon is not None
        return measures(self.hindsight(data), self.levels, season, horizon)

    def backtest(
        self, data: Source = None, *, count: int = 10, stride: int | None = None, refit: bool = False
    ) -> dict[str, Any]:
        """Measure forecasts from `count` origins at the end of each series, `stride` steps apart (a horizon).

        refit: train anew for each origin, on nothing but what lies before it; otherwise the model stays as it is.
        Returns mse and the measures of `evaluate` over all forecasts, how many `forecasts` there were, and `origins`, a
        row of measures for each. Raises DataError when no series is long enough, or too short to train on.
        """
        from ricorso.tasks.forecast.backtest import backtest

        self._check_fitted()
        return backtest(self, data, count=count, stride=stride, refit=refit)

    def anomalies(self, data: Source = None, **options: Any) -> pl.DataFrame:
        """How surprising each value is, seen from the forecast made one step before it: a row for each step.

        The options and the columns are those of `ricorso.tasks.forecast.anomaly.anomalies`: false_alarm_every, window,
        since, usual_until. Raises UsageError for an option that cannot be used, DataError for data that cannot be read.
        """
        from ricorso.tasks.forecast.anomaly import anomalies

        self._check_fitted()
        return anomalies(self, data, **options)

    def plot(
        self,
        data: Source = None,
        *,
        series: str | Sequence[str] | None = None,
        ahead: bool | None = None,
        hindsight: bool | None = None,
    ) -> "ForecastPlot":
        """Charts of the next horizon and of the last one beside what came; shown in a notebook, or saved as a page.

        data: as for `predict`. series: which to draw, by name (where there are several targets, also by target or by
        "series target"); left out, some of all. ahead, hindsight: whether to draw what comes after the data, and the
        last horizon; left out, where the data allow it. Raises UsageError for a series that is not there, DataError
        for data that cannot be used.

            forecaster.plot(series="store 3").save("store.html")
        """
        from ricorso.tasks.forecast.plot import plot

        return plot(self, data, series=series, ahead=ahead, hindsight=hindsight)

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
                        truth=series.values[origin:end, target],
                        quantiles=quantiles[place, target],
                        start=series.start,
                        frequency=known.frequency,
                    )
                )
        return found

    @property
    def levels(self) -> Sequence[float]:
        """Which quantiles a forecast has."""
        return (0.5,) if isinstance(self.model_.head, Point) else self.config_.quantiles

    @property
    def stretch(self) -> tuple[float, ...]:
        """How many times as far from the median as learnt each quantile is put, as calibration found; else 1."""
        found = None if isinstance(self.model_, AutoregressiveModel) else self.model_.stretch
        return (1.0,) * len(self.levels) if found is None else tuple(found.tolist())

    def _series(self, data: Source) -> SeriesSet:
        self._check_fitted()
        if data is not None:
            return read(data, self.config_, _columns(self.data_), Frequency.from_json(self.data_["frequency"]))
        if self.series_ is None:
            path = self.data_["path"]
            if path is None:
                raise UsageError("This Forecaster was loaded, and its data were in no file; give the data.")
            self.series_ = read(path, self.config_, _columns(self.data_), Frequency.from_json(self.data_["frequency"]))
        return self.series_

    def _windows(self, known: SeriesSet) -> Windows:
        history = self.config_.history
        return Windows(known, history, self.model_.horizon, 1, self.config_.seed, minimum_context=min(history, 2))

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
        self, known: SeriesSet, windows: Windows, numbers: NDArray[np.int64], origins: NDArray[np.int64],
        levels: tuple[float, ...] | None = None, steps: int | None = None,
    ) -> NDArray[np.float64]:  # fmt: skip
        """(windows, targets, steps, quantiles); the whole horizon when `steps` is not given."""
        levels = levels or tuple(self.levels)
        batches, found = Batches(known, windows, self._encoding(), self.config_), []
        with threads(self.config_.threads):
            for begin in range(0, len(numbers), _WINDOWS_AT_ONCE):
                piece = slice(begin, begin + _WINDOWS_AT_ONCE)
                batch = batches.at(numbers[piece], origins[piece])
                quantiles = self.model_.quantiles(batch, scale_for(batch.past, self.config_), levels, steps)
                found.append(quantiles.double().numpy())
        whole = np.concatenate(found)
        return whole.reshape(len(numbers), len(known.targets), *whole.shape[1:])


def read(
    data: Source, config: ForecastConfig, columns: Columns | None = None, frequency: Frequency | None = None
) -> SeriesSet:
    """The series of a table as a config says, or as those that were read before. Raises DataError."""
    roles: dict[str, Any] = {"columns": columns}
    if columns is None:
        names = ("time", "series", "targets", "known", "past", "static", "season")
        roles = {name: getattr(config, name) for name in names}
    return read_series(
        data, frequency=frequency or config.frequency, sort=config.sort, duplicates=config.duplicates, **roles
    )


def _repeated(names: Sequence[str], times: int, over: int = 1) -> pl.Series:
    """Each name so many times, and all of that `over` times."""
    return pl.Series(names, dtype=pl.String).gather(np.tile(np.repeat(np.arange(len(names)), times), over))


def _columns(facts: Mapping[str, Any]) -> Columns:
    return Columns.from_json(facts["columns"])
