"""Rolling origins: how good forecasts would have been, as if each had been made in its time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ricorso.data.series import Series, SeriesSet
from ricorso.errors import DataError
from ricorso.tasks.forecast.metrics import measures

if TYPE_CHECKING:
    from ricorso.tasks.forecast.task import Forecaster, Hindsight

Row = dict[str, Any]
_ROLES = ("time", "series", "targets", "known", "past", "static")


def backtest(
    forecaster: "Forecaster",
    data: Any = None,
    *,
    count: int = 10,
    stride: int | None = None,
    refit: bool = False,
    on_origin: Callable[[Row], None] | None = None,
) -> dict[str, Any]:
    """Measure forecasts from `count` origins at the end of each series, `stride` steps apart (a horizon).

    Several series are cut at the same distance from each one's end. refit: for each origin a new model with the same
    settings and seed is trained on nothing but what lies before it (Tashman 2000, "Out-of-sample tests of forecasting
    accuracy"); otherwise the model forecasts from all of them as it is. on_origin: is told each row once it is there.

    Returns mse, mae, rmse, smape, mase, wql and coverage over all forecasts, how many `forecasts` there were, the
    errors of the methods `seasonal_naive` and `naive` (the last value), and `origins`: a flat row for each, the oldest
    first, with `back` (how many steps come after its horizon), `from` (the first time that is forecast, None where
    series end at different times) and the same measures. Raises DataError when no series is long enough, UsageError
    for a count or stride below 1.

        table = polars.DataFrame(forecaster.backtest(data, count=12, refit=True)["origins"])
    """
    known = forecaster._series(data)
    seen = _by_distance(forecaster.hindsight(data, count=count, stride=stride))
    if not seen:
        raise DataError("No origin can be measured: no value comes within a horizon after any of them.")
    table, roles = as_table(known) if refit else (None, {})
    rows: list[Row] = []
    forecasts: list[Hindsight] = []
    for back, own in seen.items():
        if refit:
            fresh = _trained_before(forecaster, known, back, roles)
            own = _by_distance(fresh.hindsight(table, count=count, stride=stride))[back]
        rows.append({"back": back, "from": _first_time(own), **_flat(_measured(own, forecaster))})
        forecasts += own
        if on_origin:
            on_origin(rows[-1])
    return {**_measured(forecasts, forecaster), "origins": rows}


def before(known: SeriesSet, back: int, ahead: int) -> SeriesSet:
    """The series without their last `back` steps; known covariates reach up to `ahead` steps further.

    Series that have no value then are left out. Raises DataError when none is left.
    """
    shorter = [_before(series, back, ahead) for series in known.series]
    kept = tuple(series for series in shorter if not np.isnan(series.values).all())
    if not kept:
        longest = max(series.steps for series in known.series)
        raise DataError(f"Nothing lies {back} steps before the end: the longest series has {longest} steps.")
    return replace(known, series=kept)


def as_table(known: SeriesSet) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Series as a long table with every covariate, and the options with which it is read as what it was.

    >>> from ricorso.data.series import read_series
    >>> known = read_series({"month": ["1949-01", "1949-02", "1949-04"], "passengers": [112, 118, 129]})
    >>> table, roles = as_table(known)
    >>> table.columns, table["passengers"].to_list(), roles["frequency"]
    (['month', 'series', 'passengers'], [112.0, 118.0, None, 129.0], 'month')
    """
    columns = known.columns
    taken = [*columns.targets, *columns.known, *columns.past, *columns.static]
    time = _free("time", taken) if columns.time is None else columns.time
    name = _free("series", [*taken, time]) if columns.series is None else columns.series
    numbers = (*columns.targets, *columns.known, *columns.past)
    rows = [max(series.steps, len(series.known)) for series in known.series]
    times = [known.frequency.times(series.start, count) for series, count in zip(known.series, rows, strict=True)]
    pieces: dict[str, Any] = {
        time: np.concatenate(times),
        name: np.repeat(np.array([series.name for series in known.series], object), rows).tolist(),
    }
    flat = np.concatenate([_numbers(series, count) for series, count in zip(known.series, rows, strict=True)])
    pieces |= {number: flat[:, place] for place, number in enumerate(numbers)}
    for place, constant in enumerate(columns.static):
        pieces[constant] = np.repeat(np.array([series.static[place] for series in known.series], object), rows).tolist()
    table = pl.DataFrame(pieces).with_columns(pl.col(numbers).fill_nan(None))
    given = replace(columns, time=time, series=name, layout="long")
    roles = {role: getattr(given, role) for role in _ROLES}
    return table, {**roles, "frequency": known.frequency.name, "season": known.frequency.season}


def _trained_before(forecaster: "Forecaster", known: SeriesSet, back: int, roles: Mapping[str, Any]) -> "Forecaster":
    """A new model with the same settings, trained on what lies before an origin."""
    config = forecaster.config_
    assert config.horizon is not None
    # what a config does not have, the task does not read
    own = {name: value for name, value in roles.items() if name in type(config).model_fields}
    changes = {"cell": forecaster.get_params()["cell"], "tensorboard": None, **own}
    fresh = type(forecaster)(**config.model_dump() | changes)
    try:
        table, _ = as_table(before(known, back + config.horizon, config.horizon))
        return fresh.fit(table)
    except DataError as error:
        raise DataError(
            f"Too little lies before the origin {back + config.horizon} steps from the end to train on: {error} "
            f"Ask for fewer origins, or a smaller stride."
        ) from error


def _by_distance(found: "Sequence[Hindsight]") -> "dict[int, list[Hindsight]]":
    """Forecasts by how many steps of their series come after their horizon, most first."""
    last: dict[str, int] = {}
    for one in found:
        last[one.name] = max(last.get(one.name, 0), len(one.history))
    groups: dict[int, list[Hindsight]] = {}
    for one in found:
        if not np.isnan(one.truth).all():
            groups.setdefault(last[one.name] - len(one.history), []).append(one)
    return dict(sorted(groups.items(), reverse=True))


def _first_time(found: "Sequence[Hindsight]") -> Any:
    times = {one.times[0].item() for one in found}
    return times.pop() if len(times) == 1 else None


def _measured(found: "Sequence[Hindsight]", forecaster: "Forecaster") -> dict[str, Any]:
    config = forecaster.config_
    assert config.season is not None
    assert config.horizon is not None
    told = measures(found, forecaster.levels, config.season, config.horizon)
    kept = {name: value for name, value in told.items() if name not in ("series", "season", "horizon")}
    return {"mse": told["rmse"] ** 2, **kept, "forecasts": len(found)}


def _flat(measures: Mapping[str, Any]) -> Row:
    """Measures of methods as `naive_mae`, beside those of the model."""
    flat: Row = {}
    for name, value in measures.items():
        flat |= {f"{name}_{own}": v for own, v in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _before(series: Series, back: int, ahead: int) -> Series:
    steps = max(series.steps - back, 0)
    return replace(series, values=series.values[:steps], past=series.past[:steps], known=series.known[: steps + ahead])


def _numbers(series: Series, rows: int) -> NDArray[np.float64]:
    """All numbers of a series side by side, (rows, columns)."""
    parts: list[NDArray[Any]] = [series.values, series.known, series.past]
    longer = [np.pad(part, ((0, rows - len(part)), (0, 0)), constant_values=np.nan) for part in parts]
    return np.concatenate(longer, axis=1, dtype=np.float64)


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name
