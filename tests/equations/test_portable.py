import json

import pytest

from ricorso.cells import CATALOGUE
from ricorso.equations.portable import from_json, to_json
from ricorso.errors import CellError


@pytest.mark.parametrize("cell", CATALOGUE.values(), ids=lambda cell: cell.name)
def test_round_trip(cell):
    data = json.loads(json.dumps(to_json(cell)))
    again = from_json(data)
    assert again.equations == cell.equations
    assert again.leaves == cell.leaves
    assert to_json(again) == data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"update": [["h", ["__import__", "p"]]]}, "__import__"),
        ({"update": [["h", "unknown"]]}, "unknown"),
        ({"update": [["h", ["tanh", "p", "p"]]]}, "2 arguments"),
        ({"update": [["h", {"a": 1}]]}, "neither a number"),
        ({"format": 99}, "format 99"),
        ({"gates": [1]}, "a name was expected"),
        ({"update": [["h", ["add", *["p"] * 20000]]]}, "more than"),
        ({"update": 3}, "expected form"),
    ],
)
def test_foreign_data_is_refused(change, message):
    data = to_json(CATALOGUE["elman_tanh"]) | change
    with pytest.raises(CellError, match=message):
        from_json(data)
