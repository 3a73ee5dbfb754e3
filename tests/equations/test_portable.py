import json
import math

import pytest

from ricorso.cells import CATALOGUE
from ricorso.equations import Cell, gates, parameters, sqrt, states, tanh
from ricorso.equations.portable import from_json, to_json
from ricorso.equations.transform import layer_normalised, recurrent_dropout, zoneout
from ricorso.errors import CellError

CELLS = CATALOGUE.values()
CHANGED = [change(cell) for cell in CELLS for change in (zoneout, recurrent_dropout, layer_normalised)]
EVERY = ("update", "product_of", "start", "long_start", "heads", "recurrent_start", "defaults", "title", "paper")


def names(cell):
    return f"{cell.name}-{len(cell.noises)}-{len(cell.parameters)}"


@pytest.mark.parametrize("cell", [*CELLS, *CHANGED], ids=names)
def test_round_trip(cell):
    data = json.loads(json.dumps(to_json(cell), allow_nan=False))
    again = from_json(data)
    assert all(getattr(again, name) == getattr(cell, name) for name in EVERY)
    assert again.own == cell.own
    assert [type(symbol) for symbol in again.own] == [type(symbol) for symbol in cell.own]
    assert again.noises == cell.noises
    assert to_json(again) == data


def test_numbers_travel_whole():
    (p,), (h,), (w,) = gates("p"), states("h"), parameters("w")
    cell = Cell("n", (p,), (h,), {h: tanh(p) * 0.1 + w / 3 + h * sqrt(2)}, parameters=(w,), start={w: math.pi})
    again = from_json(json.loads(json.dumps(to_json(cell))))
    assert (again.update, again.start) == (cell.update, cell.start)


DEEP = "p"
for _ in range(150):
    DEEP = ["tanh", DEEP]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"update": [["h", ["__import__", "p"]]]}, "'__import__', which is outside the vocabulary"),
        ({"update": [["h", [["tanh"], "p"]]]}, "outside the vocabulary"),
        ({"update": [["h", "unknown"]]}, "'unknown', which it does not declare"),
        ({"update": [["nothing", "p"]]}, "nothing"),
        ({"update": [["h", ["tanh", "p", "p"]]]}, "'tanh' 2 arguments instead of 1"),
        ({"update": [["h", ["power", "p"]]]}, "'power' 1 arguments instead of 2"),
        ({"update": [["h", ["power", "p", 1001]]]}, "to the power 1001; wanted a moderate number"),
        ({"update": [["h", ["power", "p", "p"]]]}, "to the power p"),
        ({"update": [["h", ["multiply", "p", ["power", ["power", 10, 300], 900]]]]}, "not finite"),
        ({"update": [["h", ["multiply", "p", ["exp", ["exp", ["exp", 100]]]]]]}, "not finite and real"),
        ({"update": [["h", ["multiply", "p", ["power", -1, ["rational", 1, 2]]]]]}, "not finite and real"),
        ({"update": [["h", {"a": 1}]]}, "neither a number"),
        ({"update": [["h", None]]}, "neither a number"),
        ({"update": [["h", True]]}, "neither a number"),
        ({"update": [["h", []]]}, "neither a number"),
        ({"update": [["h", ["add", "p", math.inf]]]}, "not finite"),
        ({"update": [["h", ["add", "p", math.nan]]]}, "not finite"),
        ({"update": [["h", ["add", "p", 10**400]]]}, "not finite"),
        ({"update": [["h", ["multiply", "p", ["rational", 1, 0]]]]}, "not finite"),
        ({"update": [["h", ["rational", "1", 2]]]}, "two whole numbers"),
        ({"update": [["h", ["add", *["p"] * 20000]]]}, "more than 10000 nodes"),
        ({"update": [["h", DEEP]]}, "more than 100 levels"),
        ({"update": 3}, "expected form"),
        ({"update": {"h": "p"}}, "expected form"),
        ({"update": []}, "no equation for its state 'h'"),
        ({"update": [["h", ["tanh", "h_new"]]]}, "uses 'h_new'"),
        ({"product_of": [["p", ["multiply", "h", "p"]]]}, "depends on itself"),
        ({"product_of": [["h", "h"]]}, "not one of its gates"),
        ({"symbols": [["p", "gate"], ["h", "state"], ["p", "parameter"]]}, "'p' twice"),
        ({"symbols": [["p", "gate"], ["h", "state"], ["w.x", "parameter"]]}, "Rename it"),
        ({"symbols": [["p", "lambda"], ["h", "state"]]}, "expected form.*lambda"),
        ({"symbols": [[1, "gate"], ["h", "state"]]}, "a name was expected"),
        ({"symbols": [["p"], ["h", "state"]]}, "expected form"),
        ({"symbols": [["h", "state"]]}, "'p', which it does not declare"),
        ({"format": 99}, "format 99; this version reads format"),
        ({"heads": "4"}, "heads must be a whole number"),
        ({"heads": -1}, "heads must be a whole number"),
        ({"name": 3}, "a name was expected"),
        ({"name": "a b"}, "not an identifier"),
        ({"defaults": {"p": 0.1}}, "'p' among the rates"),
        ({"defaults": {"nothing": 0.1}}, "expected form"),
        ({"start": [["p", "h"]]}, "sets 'p' from 'h'"),
        ({"start": [["h", 1]]}, "neither a gate nor a parameter"),
        ({"recurrent_start": "zero"}, "recurrent_start is 'zero'"),
    ],
)
def test_foreign_data_is_refused(change, message):
    data = to_json(CATALOGUE["elman_tanh"]) | change
    with pytest.raises(CellError, match=message):
        from_json(data)


@pytest.mark.parametrize("name", to_json(CATALOGUE["lstm"]))
def test_a_missing_part_is_refused(name):
    data = to_json(CATALOGUE["lstm"])
    del data[name]
    with pytest.raises(CellError, match=name):
        from_json(data)


@pytest.mark.parametrize("data", [[], None, "cell", 3])
def test_what_is_no_object_is_refused(data):
    with pytest.raises(CellError, match="expected form"):
        from_json(data)


def test_a_rate_that_is_not_finite_is_refused():
    data = to_json(zoneout(CATALOGUE["gru"]))
    with pytest.raises(CellError, match="finite number"):
        from_json(data | {"defaults": {"zoneout_output": math.nan}})
