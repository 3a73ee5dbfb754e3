"""Forecasts as pictures: history, forecast, intervals, and what came where it is known."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ricorso.bundle import write_text
from ricorso.data.series import SeriesSet
from ricorso.errors import DataError, UsageError, did_you_mean
from ricorso.pages.page import charting, filled, numbers, page
from ricorso.tasks.forecast.metrics import Values, intervals, middle

if TYPE_CHECKING:
    from ricorso.tasks.forecast.task import Forecaster, Hindsight

MOST_SERIES = 6
_MOST_STEPS = 2000
_USUAL_SHARES = (0.95, 0.8, 0.5)
_ROOM = files("ricorso.tasks.forecast")
_ROW, _ROOM_ABOVE = 340, 190


@dataclass(frozen=True)
class Picture:
    """One series: its name, what is known of it (times, values), and forecasts, (times, quantiles) each.

    seen: what was forecast from before the last horizon, beside what came. ahead: what comes after the data. Quantiles
    are (horizon, levels).
    """

    name: str
    times: NDArray[Any]
    values: Values
    seen: tuple[NDArray[Any], Values] | None = None
    ahead: tuple[NDArray[Any], Values] | None = None


@dataclass(frozen=True)
class ForecastPlot:
    """Charts of forecasts; a notebook shows them by themselves, `save` writes a page that opens without a network.

    pictures: the series drawn. levels: of their quantiles. of: how many series there are in all. season, horizon: in
    steps.
    """

    pictures: tuple[Picture, ...]
    levels: tuple[float, ...]
    of: int
    season: int
    horizon: int

    def save(self, path: str | Path) -> Path:
        """Write the page and return its path. Raises RunError when it cannot be written."""
        return write_text(path, self.page())

    def page(self) -> str:
        """The whole page as HTML."""
        told = escape(f"{self._told()} {self.shades()}")
        body = filled(_ROOM / "plot.html", told=told, charting=charting(), charts=self.charts())
        return page("Forecasts", body)

    def charts(self) -> str:
        """The charts as a part of a page; it draws them with the `charting()` of the page around it."""
        places = "".join(
            f'<div class="chart"><h4>{escape(one.name)}</h4><div id="series-{n}" role="img" '
            f'aria-label="{escape(_label(one))}"></div></div>'
            for n, one in enumerate(self.pictures)
        )
        drawn = [_drawn(one, max(4 * self.horizon, 3 * self.season, 24)) for one in self.pictures]
        data = {"middle": middle(self.levels), "intervals": shown_intervals(self.levels), "series": drawn}
        return filled(_ROOM / "charts.html", places=places, data=numbers("forecasts", data))

    def counted(self) -> str:
        """How many series are drawn, and of how many."""
        count = len(self.pictures)
        return f"{count} of {self.of:,} series" if count < self.of else f"{count} series"

    def shades(self) -> str:
        """Which intervals the shades are, in a sentence; nothing where there are none."""
        shares = [f"{100 * share:.4g}%" for share, _, _ in shown_intervals(self.levels)]
        if not shares:
            return ""
        if len(shares) == 1:
            return f"The shade is the interval of {shares[0]}."
        return f"The shades are the intervals of {', '.join(shares[:-1])} and {shares[-1]}."

    def _told(self) -> str:
        seen, ahead = any(one.seen for one in self.pictures), any(one.ahead for one in self.pictures)
        steps = f"{self.horizon} step{'s' * (self.horizon > 1)}"
        parts = ["what comes next"] * ahead + ["the last horizon, forecast from what stands before it"] * seen
        return f"{self.counted()}, a horizon of {steps}: {', and '.join(parts)}."

    def _repr_html_(self) -> str:
        # a frame of its own keeps the style of the page and that of the notebook apart
        height = _ROOM_ABOVE + _ROW * len(self.pictures)
        return (
            f'<iframe srcdoc="{escape(self.page())}" title="Forecasts" '
            f'style="width: 100%; height: {height}px; border: 0"></iframe>'
        )

    def __repr__(self) -> str:
        return f'<ForecastPlot: {self._told()} .save("page.html") writes it as a page>'


def plot(
    forecaster: "Forecaster",
    data: Any = None,
    *,
    series: str | Sequence[str] | None = None,
    ahead: bool | None = None,
    hindsight: bool | None = None,
) -> ForecastPlot:
    """Draw forecasts of some series with their intervals: what comes after the data, and the last horizon in hindsight.

    data: as for `predict`; left out, what the forecaster was fitted to. series: which to draw, by name (where there are
    several targets, also by "series target" or by target); left out, some of all. ahead, hindsight: whether to draw the
    forecast after the data, and that of the last horizon beside what came; left out, where the data allow it.

    Raises UsageError for a series that is not there, DataError for data that cannot be used or are too short.
    """
    if ahead is False and hindsight is False:
        raise UsageError("With ahead=False and hindsight=False there is nothing to draw; leave one of them out.")
    known = forecaster._series(data)
    labels = _labels(known)
    wanted = _wanted(known, labels, series)
    few = copy(forecaster)
    numbers_ = sorted({labels[name][0] for name in wanted})
    few.series_ = replace(known, series=tuple(known.series[number] for number in numbers_))
    seen, after, refused = {}, {}, []
    if hindsight is not False:
        try:
            seen = {one.name: one for one in few.hindsight()}
        except DataError as error:
            refused.append(error)
    if ahead is not False:
        try:
            after = _ahead(few, known)
        except DataError as error:
            refused.append(error)
    if refused and (hindsight or ahead or not (seen or after)):
        raise refused[0]
    pictures = tuple(_picture(name, known, *labels[name], seen.get(name), after.get(name)) for name in wanted)
    config = forecaster.config_
    return ForecastPlot(pictures, tuple(forecaster.levels), len(labels), config.season or 1, config.horizon or 1)


def seen_only(hindsights: Sequence["Hindsight"], levels: Sequence[float], of: int, season: int) -> ForecastPlot:
    """The plot of hindsights: forecasts beside what came."""
    pictures = tuple(
        Picture(
            one.name,
            np.concatenate([one.history_times, one.times]),
            np.concatenate([one.history, one.truth]),
            seen=(one.times, one.quantiles),
        )
        for one in hindsights
    )
    return ForecastPlot(pictures, tuple(levels), of, season, len(hindsights[0].truth))


def shown_intervals(levels: Sequence[float]) -> list[tuple[float, int, int]]:
    """The intervals worth a band: 95, 80 and 50 % where the levels have them, else the widest; at most three."""
    found = intervals(levels)
    usual = [one for one in found if one[0] in _USUAL_SHARES]
    return (usual or found)[:3]


def _labels(known: SeriesSet) -> dict[str, tuple[int, int]]:
    """The numbers of series and target by what they are called, as in a hindsight."""
    several = len(known.targets) > 1
    return {
        f"{series.name} {target}" if several else series.name: (number, column)
        for number, series in enumerate(known.series)
        for column, target in enumerate(known.targets)
    }


def _wanted(known: SeriesSet, labels: Mapping[str, tuple[int, int]], asked: str | Sequence[str] | None) -> list[str]:
    names = list(labels)
    if asked is None:
        places = np.linspace(0, len(names) - 1, min(MOST_SERIES, len(names))).round().astype(int)
        return [names[place] for place in places]
    found: list[str] = []
    for name in [asked] if isinstance(asked, str) else asked:
        of_it = [
            label
            for label, (number, column) in labels.items()
            if name in (label, known.series[number].name, known.targets[column])
        ]
        if not of_it:
            choices = [*known.names, *(known.targets if len(known.targets) > 1 else ()), *labels]
            raise UsageError(f"There is no series '{name}'.{did_you_mean(name, choices) or _some(names)}")
        found += of_it
    if not found:
        raise UsageError("`series` is empty; name one or several, or leave it out.")
    return list(dict.fromkeys(found))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f" There are {', '.join(names[:5])}{more}." if len(names) > 1 else f" There is only '{names[0]}'."


def _ahead(few: "Forecaster", known: SeriesSet) -> dict[str, tuple[NDArray[Any], Values]]:
    """What is forecast after the data, by label."""
    frame = few.predict()
    several = len(known.targets) > 1
    columns = [name for name in frame.columns if name not in ("series", "target", "time")]
    found = {}
    for part in frame.partition_by(["series", "target"] if several else ["series"], maintain_order=True):
        name = f"{part['series'][0]} {part['target'][0]}" if several else part["series"][0]
        found[name] = (part["time"].to_numpy(), part.select(columns).to_numpy())
    return found


def _picture(name: str, known: SeriesSet, number: int, column: int, seen: "Hindsight | None", ahead: Any) -> Picture:
    series = known.series[number]
    return Picture(
        name,
        known.times(number),
        series.values[:, column],
        None if seen is None else (seen.times, seen.quantiles),
        ahead,
    )


def _label(one: Picture) -> str:
    parts = ["history"] + ["forecast of the last horizon beside what came"] * bool(one.seen)
    return f"{one.name}: {', '.join(parts + ['forecast of what comes next'] * bool(one.ahead))}"


def _drawn(one: Picture, before: int) -> dict[str, Any]:
    """What the script draws; before: how many steps of the past are shown at least."""
    past = min(len(one.values), _MOST_STEPS, before + (len(one.seen[0]) if one.seen else 0))

    def forecast(found: tuple[NDArray[Any], Values] | None) -> dict[str, Any] | None:
        if found is None:
            return None
        return {"x": _times(found[0]), "quantiles": [_plain(line) for line in found[1].T]}

    return {
        "known": {"x": _times(one.times[-past:]), "y": _plain(one.values[-past:])},
        "seen": forecast(one.seen),
        "ahead": forecast(one.ahead),
    }


def _times(times: NDArray[Any]) -> list[Any]:
    return [str(time) for time in times] if times.dtype.kind == "M" else [int(time) for time in times]


def _plain(values: Values) -> list[float | None]:
    return [float(f"{value:.7g}") if np.isfinite(value) else None for value in values]
