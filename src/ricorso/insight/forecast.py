"""Forecasts as pictures: history, forecast, intervals and what came."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from ricorso.tasks.forecast.task import Forecaster

MOST_SERIES = 6


def forecasts_section(forecaster: Forecaster, data: Any = None) -> str:
    """HTML for the page of a run: the last horizon of some series, forecast from before it, and the measures."""
    hindsight = forecaster.hindsight(data)
    chosen = np.linspace(0, len(hindsight) - 1, min(MOST_SERIES, len(hindsight))).round().astype(int)
    shown = [hindsight[int(n)] for n in chosen]
    levels = list(forecaster.levels)
    shown_steps = 4 * (forecaster.config_.horizon or 1)
    pictures = [
        {
            "name": one.name,
            "history": {"x": _times(one.history_times[-shown_steps:]), "y": _plain(one.history[-shown_steps:])},
            "truth": {"x": _times(one.times), "y": _plain(one.truth)},
            "quantiles": [_plain(one.quantiles[:, n]) for n in range(len(levels))],
        }
        for one in shown
    ]
    places = "".join(
        f'<div class="chart"><h4>{escape(one.name)}</h4><div id="series-{n}" role="img" '
        f'aria-label="History, forecast and truth of {escape(one.name)}"></div></div>'
        for n, one in enumerate(shown)
    )
    template = files("ricorso.insight").joinpath("forecast.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        places=places,
        count=f"{len(shown)} of {len(hindsight):,}",
        horizon=forecaster.config_.horizon,
        measures=_measures(forecaster.evaluate(data)),
        data=json.dumps({"levels": levels, "series": pictures}, allow_nan=False).replace("</", "<\\/"),
    )


def _measures(figures: Mapping[str, Any]) -> str:
    sides = {"model": figures, "seasonal naive": figures["seasonal_naive"], "last value": figures["naive"]}
    head = "".join(f"<th>{side}</th>" for side in sides)
    names = {"mae": "MAE", "rmse": "RMSE", "smape": "sMAPE, %", "mase": "MASE", "wql": "wQL"}
    rows = "".join(
        f"<tr><th>{label}</th>"
        + "".join(f"<td>{side[name]:.4g}</td>" if name in side else "<td></td>" for side in sides.values())
        + "</tr>"
        for name, label in names.items()
    )
    inside = [f"{figures[f'coverage_{w}']:.0%} in the interval of {w}%" for w in (80, 95) if f"coverage_{w}" in figures]
    told = f"<p>Of what came, {' and '.join(inside)}.</p>" if inside else ""
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>{told}"


def _times(times: "np.ndarray[Any, Any]") -> list[Any]:
    return [str(time) for time in times] if times.dtype.kind == "M" else [int(time) for time in times]


def _plain(values: "np.ndarray[Any, Any]") -> Sequence[float | None]:
    return [None if np.isnan(value) else float(f"{value:.7g}") for value in values]
