"""Where forecasts err: the size of the error by step of the horizon, and how errors are spread."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ricorso.tasks.forecast.metrics import Values

_FEWEST_BARS, _MOST_BARS = 7, 41


@dataclass(frozen=True)
class Residuals:
    """html: what is said of the errors. steps: their mean size by step; shares: how many there are of each size."""

    html: str
    steps: dict[str, Any] | None
    shares: dict[str, Any] | None


def residuals(errors: Values, naive: Values) -> Residuals:
    """Errors (series, horizon) of forecasts and of the seasonal naive method, in mean changes over a season."""
    if np.isnan(errors).all():
        return Residuals(
            "<p>The series do not change from season to season, so that errors have no unit.</p>", None, None
        )
    own, other = _mean_sizes(errors), _mean_sizes(naive)
    bias = float(np.nanmean(errors))
    lean = (
        f"{abs(bias):.2g} too {'high' if bias > 0 else 'low'}" if abs(bias) >= 0.02 else "neither too high nor too low"
    )
    known = [value for value in own if value is not None]
    text = (
        "<p>Errors are in units of the mean change from one season to the next in the history of each series: "
        f"1 is the usual error of repeating the last season. {_growth(known)} On average forecasts are {lean}.</p>"
        '<div class="wider">'
        '<div class="chart"><h4>Mean size of the error by step ahead</h4><div id="error-steps" role="img" '
        'aria-label="Mean size of the error by step ahead, network and seasonal naive"></div></div>'
        '<div class="chart"><h4>How errors are spread</h4><div id="error-shares" '
        'role="img" aria-label="Distribution of the scaled errors, network and seasonal naive"></div></div></div>'
    )
    return Residuals(text, {"own": own, "naive": other}, _spread(errors, naive))


def _growth(sizes: list[float]) -> str:
    if len(sizes) < 2:
        return ""
    return f"The mean size is {sizes[0]:.2g} one step ahead and {sizes[-1]:.2g} at the end of the horizon."


def _mean_sizes(errors: Values) -> list[float | None]:
    return [float(np.nanmean(np.abs(step))) if np.isfinite(step).any() else None for step in errors.T]


def _spread(errors: Values, naive: Values) -> dict[str, Any]:
    """Shares of the errors in bars of one width around zero; what lies beyond counts in the outermost bars."""
    own, other = (one[np.isfinite(one)] for one in (errors, naive))
    reach = float(np.quantile(np.abs(np.concatenate([own, other])), 0.99)) or 1.0
    count = int(np.clip(2 * len(own) ** (1 / 3), _FEWEST_BARS, _MOST_BARS)) // 2 * 2 + 1
    width = 2 * reach / count
    return {
        "x": [round((n - count // 2) * width, 6) for n in range(count)],
        "width": width,
        "own": _shares(own, reach, count),
        "naive": _shares(other, reach, count),
    }


def _shares(values: Values, reach: float, count: int) -> list[float]:
    found, _ = np.histogram(values.clip(-reach, reach), bins=count, range=(-reach, reach))
    return [float(share) for share in found / max(1, len(values))]
