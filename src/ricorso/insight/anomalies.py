"""Anomalies for people: which alarms there were, and a page with the series on which they are marked."""

import math
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl

from ricorso.bundle import write_text
from ricorso.pages.page import charting, filled, numbers
from ricorso.pages.page import page as whole_page

MOST_SERIES = 6
MOST_ALARMS = 50
_MOST_STEPS = 30_000
# flagged steps no farther apart than this are one alarm
_TOGETHER = 10
_OF_ONE_SERIES = ["series", "target"]


def alarms(frame: pl.DataFrame) -> pl.DataFrame:
    """The flagged steps of a frame of anomalies put together to alarms, the strongest first.

    Columns: series, target, from, to (times), steps (how many are flagged), score (the highest), and at, value,
    expected, low and high of the step whose value is the least probable by itself.
    """
    place = pl.int_range(pl.len()).over(_OF_ONE_SERIES)
    flagged = frame.with_columns(place.alias("place")).filter(pl.col("anomaly"))
    begins = (pl.col("place").diff().over(_OF_ONE_SERIES) > _TOGETHER).fill_null(True)
    top = pl.col("probability").arg_min()
    return (
        flagged.with_columns(begins.cum_sum().alias("alarm"))
        .group_by([*_OF_ONE_SERIES, "alarm"], maintain_order=True)
        .agg(
            pl.col("time").first().alias("from"),
            pl.col("time").last().alias("to"),
            pl.len().alias("steps"),
            pl.col("score").max(),
            pl.col("time").get(top).alias("at"),
            *(pl.col(name).get(top) for name in ("value", "expected", "low", "high")),
        )
        .drop("alarm")
        .sort("score", descending=True, maintain_order=True)
    )


def anomalies_section(frame: pl.DataFrame, false_alarm_every: float) -> str:
    """HTML for a page with `charting()`: a table of the alarms, and the series with the highest scores."""
    found = alarms(frame)
    ranked = (
        frame.group_by(_OF_ONE_SERIES, maintain_order=True)
        .agg(pl.col("score").max())
        .sort("score", descending=True, nulls_last=True, maintain_order=True)
    )
    several = frame["target"].n_unique() > 1
    drawn = []
    for name, target, _ in ranked.head(MOST_SERIES).rows():
        own = frame.filter((pl.col("series") == name) & (pl.col("target") == target)).tail(_MOST_STEPS)
        drawn.append({"name": f"{name} {target}" if several else name, **_columns(own)})
    places = "".join(
        f'<div class="chart large"><h3>{escape(one["name"])}</h3><div id="anomalies-{n}" role="img" '
        f'aria-label="{escape(one["name"])}: values, expected interval, score, and marked anomalies"></div></div>'
        for n, one in enumerate(drawn)
    )
    data = {"threshold": math.log10(false_alarm_every), "series": drawn}
    return filled(
        files("ricorso.insight") / "anomalies.html",
        told=escape(told(frame, found, false_alarm_every)),
        alarms=_table(found, several),
        shown=f"{len(drawn)} of {len(ranked):,} series" if len(drawn) < len(ranked) else "Each series",
        places=places,
        data=numbers("anomalies", data),
    )


def write_anomalies(frame: pl.DataFrame, page: str | Path, *, title: str, false_alarm_every: float) -> Path:
    """Write a page about a frame of anomalies, which opens without a network, and return its path.

    title: what it is called. false_alarm_every: as it was when the frame was made. Raises RunError when the page cannot
    be written.
    """
    body = f"<h1>{escape(title)}</h1>\n{charting()}\n{anomalies_section(frame, false_alarm_every)}"
    return write_text(page, whole_page(title, body))


def told(frame: pl.DataFrame, found: pl.DataFrame, false_alarm_every: float) -> str:
    """One sentence: how many steps are flagged, in how many alarms, and how many steps would be by chance."""
    scored, flagged = len(frame) - frame["score"].null_count(), int(frame["anomaly"].sum() or 0)
    if not scored:
        return "No step could be scored: nothing stands before any value."
    of_chance = scored / false_alarm_every
    chance = "less than one" if of_chance < 0.95 else f"about {of_chance:,.0f}"
    if not flagged:
        return f"None of {scored:,} steps is an anomaly; {chance} would be by chance."
    many = "1 alarm" if len(found) == 1 else f"{len(found):,} alarms"
    steps = "1 is an anomaly" if flagged == 1 else f"{flagged:,} are anomalies"
    return f"Of {scored:,} steps {steps}, in {many}; {chance} of the steps would be by chance."


def _table(found: pl.DataFrame, several: bool) -> str:
    if not len(found):
        return ""
    heads = ["score", "series", *(["target"] if several else []), "from", "to", "steps", "value", "expected"]
    rows = []
    for row in found.head(MOST_ALARMS).iter_rows(named=True):
        expected = f"{_short(row['expected'])} ({_short(row['low'])} to {_short(row['high'])})"
        shown = row | {"score": f"{row['score']:.1f}", "value": _short(row["value"]), "expected": expected}
        rows.append("<tr>" + "".join(f"<td>{escape(str(shown[head]))}</td>" for head in heads) + "</tr>")
    left = f"<p>The strongest {MOST_ALARMS} of {len(found):,} are shown.</p>" if len(found) > MOST_ALARMS else ""
    head = "".join(f"<th>{name}</th>" for name in heads)
    table = f'<table class="beside"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return f'<div class="wide">{table}</div>{left}'


def _columns(own: pl.DataFrame) -> dict[str, Any]:
    """What the script draws of one series."""
    # where most steps are empty a line would have no two neighbours to join
    if own["value"].null_count() * 2 > len(own):
        own = own.filter(pl.col("value").is_not_null())
    time = own["time"]
    columns: dict[str, Any] = {"x": [str(one) for one in time] if time.dtype.is_temporal() else time.to_list()}
    columns |= {name: _plain(own[name]) for name in ("value", "expected", "low", "high", "score")}
    return columns | {"flagged": own["anomaly"].fill_null(False).arg_true().to_list()}


def _plain(values: pl.Series) -> list[float | None]:
    return [None if value is None else float(f"{value:.6g}") for value in values]


def _short(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
