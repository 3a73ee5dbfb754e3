"""JSON lines, and what is said of broken ones."""

import pytest

from ricorso.data.json_lines import read_json_lines, read_object
from ricorso.errors import DataError


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"y": 1}\n{"y": NaN}\n', "a.jsonl, line 2: not JSON that can be read: NaN is no value of JSON; write null"),
        (b'{"y": 1}\nhello\n', "a.jsonl, line 2: an object such as .* was expected, got 'hello'"),
        (b'[{"y": 1},\n{"y": 2}]\n', "a.jsonl, line 1: an object such as .* was expected, got '.\\{\"y\": 1\\},'"),
        (b'{"y": 1},\n{"y": 2}\n', "a.jsonl, line 1, column 9: not JSON"),
        (
            b'{"y": 1}\n\n{"y": ' + b"[" * 5000 + b"\n",
            "a.jsonl, line 3: not JSON that can be read: it is nested too deeply",
        ),
        (b'{"y": 1}\n{"y": ' + b"1" * 5000 + b"}\n", "a.jsonl, line 2: not JSON that can be read"),
        (b'{"y": "caf\xe9"}\n', "a.jsonl, line 1, column 11: not valid utf-8"),
    ],
)
def test_a_broken_line_is_named(raw: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_json_lines(raw, "a.jsonl")
    assert "b'" not in str(caught.value)


def test_a_long_line_is_shown_in_part() -> None:
    with pytest.raises(DataError) as caught:
        read_object("x" * 100_000, "a.jsonl, line 1", "an object")
    assert len(str(caught.value)) < 200


def test_nan_is_read_where_it_is_allowed() -> None:
    assert read_object('{"id": NaN, "y": 1}', "a.jsonl, line 1", "an object")["y"] == 1
