import json
import re
from datetime import datetime, timedelta

import polars as pl
import pytest

from ricorso.errors import RunError
from ricorso.insight.anomalies import alarms, anomalies_section, told, write_anomalies

START = datetime(2024, 1, 1)


def frame(steps=60, series="pump", flagged=(20, 22, 45), missing=(30,)):
    rows = []
    for t in range(steps):
        gone = t in missing
        score = None if gone else 5.0 + t / 100 if t in flagged else 0.5
        value, chance = (None, None) if gone else (float(t), 0.1 if t != 20 else 0.01)
        rows.append(
            {
                "series": series, "time": START + timedelta(hours=t), "target": "load", "value": value,
                "expected": 10.0, "low": 8.0, "high": 12.0, "probability": chance, "score": score,
                "anomaly": None if gone else t in flagged,
            }
        )  # fmt: skip
    return pl.DataFrame(rows)


def drawn(html):
    return json.loads(re.search(r'id="anomalies">(.*?)</script>', html, re.DOTALL)[1])


def test_flagged_steps_close_together_are_one_alarm_and_the_strongest_is_first():
    found = alarms(pl.concat([frame(), frame(series="valve", flagged=(3,))]))
    assert found["series"].to_list() == ["pump", "pump", "valve"]
    late, early, other = found.iter_rows(named=True)
    assert (late["from"], late["to"], late["steps"]) == (START + timedelta(hours=45),) * 2 + (1,)
    assert (early["from"], early["to"]) == (START + timedelta(hours=20), START + timedelta(hours=22))
    assert (early["steps"], early["at"], early["value"]) == (2, early["from"], 20.0)
    assert other["score"] == 5.03


def test_without_alarms_there_is_no_table():
    calm = frame(flagged=())
    assert len(alarms(calm)) == 0
    assert told(calm, alarms(calm), 1000) == "None of 59 steps is an anomaly; less than one would be by chance."
    assert "<table" not in anomalies_section(calm, 1000)


def test_what_is_told_counts_steps_with_a_score():
    found = frame()
    assert (
        told(found, alarms(found), 20)
        == "Of 59 steps 3 are anomalies, in 2 alarms; about 3 of the steps would be by chance."
    )
    nothing = found.with_columns(pl.lit(None, pl.Float64).alias("score"), pl.lit(None, pl.Boolean).alias("anomaly"))
    assert told(nothing, alarms(nothing), 20).startswith("No step could be scored")


def test_the_page_holds_the_series_their_alarms_and_escaped_names(tmp_path):
    odd = pl.concat([frame(), frame(series="</script><b>", flagged=(3,))])
    page = write_anomalies(odd, tmp_path / "page.html", title="Anomalies in a&b", false_alarm_every=1000)
    html = page.read_text(encoding="utf-8")
    assert "<title>Anomalies in a&amp;b</title>" in html
    assert "<b>" not in html
    assert "&lt;/script&gt;&lt;b&gt;" in html
    data = drawn(html)
    assert data["threshold"] == pytest.approx(3)
    pump, valve = data["series"]
    assert pump["flagged"] == [20, 22, 45]
    assert pump["value"][30] is None
    assert pump["x"][1] == "2024-01-01 01:00:00"
    assert valve["flagged"] == [3]
    assert html.count("<tr>") == 4


def test_steps_without_values_are_left_out_where_they_are_most():
    thin = frame(flagged=(20,), missing=tuple(t for t in range(60) if t % 5))
    (one,) = drawn(anomalies_section(thin, 1000))["series"]
    assert len(one["x"]) == 12
    assert one["flagged"] == [4]


def test_counted_times_and_several_targets():
    counted = frame().with_columns(pl.int_range(pl.len()).alias("time"))
    both = pl.concat([counted, counted.with_columns(pl.lit("flow").alias("target"))])
    html = anomalies_section(both, 1000)
    assert [one["name"] for one in drawn(html)["series"]] == ["pump load", "pump flow"]
    assert drawn(html)["series"][0]["x"][:2] == [0, 1]
    assert "<th>target</th>" in html


def test_a_page_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(RunError, match="could not be written"):
        write_anomalies(frame(), tmp_path / "none" / "page.html", title="x", false_alarm_every=1000)
