"""The section of forecasts in a report: do they beat the seasonal naive method, where they err, how sure they are."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from math import isfinite
from typing import Any

import numpy as np

from ricorso.insight.calibration import calibration
from ricorso.insight.residuals import residuals
from ricorso.pages.page import filled, numbers
from ricorso.tasks.forecast.metrics import Values, measures, middle, scaled_errors, seasonal_naive
from ricorso.tasks.forecast.plot import MOST_SERIES, seen_only
from ricorso.tasks.forecast.task import Forecaster, Hindsight

NAMES = {"mae": "MAE", "rmse": "RMSE", "smape": "sMAPE, %", "mase": "MASE", "wql": "wQL"}
# errors that differ by less are called the same
_SAME = 0.005
# values that chance has little part in
_FEW = 30


def forecasts_section(
    forecaster: Forecaster,
    data: Any = None,
    *,
    found: Sequence[Hindsight] | None = None,
    figures: Mapping[str, Any] | None = None,
) -> str:
    """HTML for the page of a run: the last horizon of some series, forecast from before it, and how good that was.

    found, figures: the hindsight of the data and its measures, where they are known already. Raises DataError for data
    that cannot be used.
    """
    seen = forecaster.hindsight(data) if found is None else found
    levels = tuple(forecaster.levels)
    season, horizon = forecaster.config_.season or 1, forecaster.config_.horizon or 1
    measured = measures(seen, levels, season, horizon) if figures is None else figures
    errors = scaled_errors(seen, [one.quantiles[:, middle(levels)] for one in seen], season)
    naive = scaled_errors(seen, [seasonal_naive(one.history, season, horizon) for one in seen], season)
    truth, quantiles = np.concatenate([one.truth for one in seen]), np.concatenate([one.quantiles for one in seen])
    left, held = residuals(errors, naive), calibration(truth, quantiles, levels, forecaster.stretch)
    places = np.linspace(0, len(seen) - 1, min(MOST_SERIES, len(seen))).round().astype(int)
    drawn = seen_only([seen[place] for place in places], levels, len(seen), season)
    return filled(
        files("ricorso.insight") / "forecast.html",
        verdict=verdict(measured, wins(errors, naive), int((~np.isnan(truth)).sum())),
        steps="step" if horizon == 1 else f"{horizon:,} steps",
        measures=table(measured),
        shown=f"{drawn.counted()}. {drawn.shades()}",
        charts=drawn.charts(),
        errors=left.html,
        intervals=held.html,
        data=numbers("forecast-errors", {"steps": left.steps, "shares": left.shares, "held": held.points}),
    )


def verdict(figures: Mapping[str, Any], won: tuple[int, int] = (0, 0), count: int = _FEW) -> str:
    """Whether the network beats the seasonal naive method, and by how much, in plain words.

    won: in how many series its error is the smaller one, and of how many. count: how many values were compared.

    >>> verdict({"mase": 0.6, "mae": 6.0, "season": 12, "seasonal_naive": {"mase": 1.2, "mae": 12.0}})
    'The network beats the seasonal naive method: its MASE of 0.6 is 50% below the 1.2 of repeating the last season.'
    """
    naive = figures["seasonal_naive"]
    simple, repeated = (
        ("the seasonal naive method", "repeating the last season")
        if figures["season"] > 1
        else ("the naive method", "repeating the last value")
    )
    name = "mase" if isfinite(figures["mase"]) and isfinite(naive["mase"]) else "mae"
    own, other = figures[name], naive[name]
    sizes = f"{NAMES[name]} of {own:.3g}"
    if _side(own, other) == 0:
        text = f"The network is no better than {simple}: its {sizes} is that of {repeated}."
    elif own < other:
        share = 100 * (1 - own / other)
        text = f"The network beats {simple}: its {sizes} is {share:.2g}% below the {other:.3g} of {repeated}."
    else:
        by = f"{100 * (own / other - 1):.0f}% above" if other else "above"
        text = (
            f"The network does not beat {simple}: its {sizes} is {by} the {other:.3g} of {repeated}. "
            f"Train longer, on more data or with a longer context; until then, {repeated} is the better forecast."
        )
    if won[1] > 1:
        text += f" Its error is the smaller one in {won[0]:,} of {won[1]:,} series."
    if count < _FEW:
        text += f" Only {count} value{'s were' if count > 1 else ' was'} compared."
    if name != "mae" and _side(own, other) * _side(figures["mae"], naive["mae"]) < 0:
        text += f" By MAE it is the other way round: {figures['mae']:.3g} against {naive['mae']:.3g}."
    return text


def wins(errors: Values, naive: Values) -> tuple[int, int]:
    """In how many series the mean size of the first errors is the smaller one, and of how many that can be said."""
    both = ~np.isnan(errors) & ~np.isnan(naive)
    known = both.any(1)
    own, other = (np.where(both, np.abs(one), 0.0).sum(1)[known] for one in (errors, naive))
    return int((own < other).sum()), int(known.sum())


def table(figures: Mapping[str, Any]) -> str:
    """The measures beside those of the naive methods; the best of each row stands out."""
    sides = {"network": figures, "seasonal naive": figures["seasonal_naive"], "last value": figures["naive"]}
    head = "".join(f"<th>{side}</th>" for side in sides)
    rows = []
    for name, label in NAMES.items():
        values = [side.get(name) for side in sides.values()]
        known = [value for value in values if value is not None and isfinite(value)]
        if known:
            best = min(known) if len(known) > 1 else None
            rows.append(f"<tr><th>{label}</th>{''.join(_cell(value, best) for value in values)}</tr>")
    return (
        f'<div class="wide"><table class="beside"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(value: float | None, best: float | None) -> str:
    text = "" if value is None or not isfinite(value) else f"{value:.4g}"
    return f'<td class="best">{text}</td>' if text and value == best else f"<td>{text}</td>"


def _side(own: float, other: float) -> int:
    """-1 where the first error is the smaller one, 1 where the larger, 0 where they are the same."""
    return 0 if abs(own - other) <= _SAME * other else -1 if own < other else 1
