import sys
from pathlib import Path

import pytest

from ricorso.cells import get_cell
from ricorso.cells.file import load_cell, names_file, resolve_cell
from ricorso.errors import CellError, UsageError

LEAKY = """
from ricorso.equations import Cell, gates, sigmoid, states, tanh

f, g = gates("f g")
(h,) = states("h")
LEAKY = Cell("leaky", gates=(f, g), states=(h,), update={h: sigmoid(f) * h + (1 - sigmoid(f)) * tanh(g)})
"""


@pytest.fixture
def file(tmp_path):
    """Write a file of the given code and return its path."""

    def write(code: str, name: str = "mycell.py") -> Path:
        path = tmp_path / name
        path.write_text(code, encoding="utf-8")
        return path

    return write


def test_a_cell_by_its_name_in_a_file(file):
    path = file(LEAKY)
    assert load_cell(f"{path}:LEAKY").name == "leaky"
    assert load_cell(str(path)).name == "leaky"
    assert resolve_cell(f"{path}:LEAKY").name == "leaky"


def test_the_file_may_use_its_neighbours_and_leaves_no_trace(file):
    file("SCALE = 0.5\n", "neighbour.py")
    path = file(LEAKY.replace("tanh(g)}", "tanh(g) * SCALE}").replace("\nf, g", "\nfrom neighbour import SCALE\nf, g"))
    before = list(sys.path)
    assert "0.5" in str(load_cell(f"{path}:LEAKY").update)
    assert sys.path == before
    assert "ricorso_cell_file" not in sys.modules


def test_a_changed_file_is_read_anew(file):
    path = file(LEAKY)
    assert load_cell(str(path)).name == "leaky"
    file(LEAKY.replace('"leaky"', '"leakier"'))
    assert load_cell(str(path)).name == "leakier"


def test_other_names_are_those_of_the_catalogue():
    assert resolve_cell("lstm") is get_cell("lstm")
    assert resolve_cell(get_cell("gru")) is get_cell("gru")
    assert not names_file("lstm")
    with pytest.raises(UsageError, match="Did you mean 'lstm'"):
        resolve_cell("lstn")


BROKEN = LEAKY.replace("tanh(g)}", "tanh(g) * w}")


@pytest.mark.parametrize(
    ("code", "name", "message"),
    [
        (LEAKY, "LEAKI", r"defines no 'LEAKI'\. Did you mean 'LEAKY'\? Cells in it: LEAKY"),
        (LEAKY, "f", r"'f' in '.*' is a Gate, not a Cell\. Cells in it: LEAKY"),
        (LEAKY, "tanh", r"'tanh' .* not a Cell"),
        ("x = 1\n", "CELL", r"defines no 'CELL'\. '.*mycell\.py' holds no Cell"),
        ("x = 1\n", "", r"Say which cell .* holds no Cell"),
        (
            LEAKY + "OTHER = Cell('other', (g,), (h,), {h: tanh(g)})\n",
            "",
            r"mycell\.py:Name\. Cells in it: LEAKY, OTHER",
        ),
        ("import nothing_of_this_name\n", "X", "line 1: ModuleNotFoundError: No module named"),
        ("x = 1\n\nraise ValueError\n", "X", "line 3: ValueError"),
        ("x = 1\ny = [\n", "X", r"mycell\.py', line 2: '\[' was never closed"),
        ("\nraise SystemExit(3)\n", "X", "line 2: SystemExit: 3"),
    ],
)
def test_a_mistake_is_told_in_one_line(file, code, name, message):
    with pytest.raises(UsageError, match=message) as caught:
        load_cell(f"{file(code)}:{name}")
    assert "\n" not in str(caught.value)


def test_equations_that_do_not_hold_are_told_with_their_line(file):
    broken = LEAKY.replace("* tanh(g)}", "* tanh(g) * h.new}")
    with pytest.raises(CellError, match=r"mycell\.py', line 6: .*uses 'h_new'"):
        load_cell(f"{file(broken)}:LEAKY")


def test_a_second_name_for_the_same_cell_is_no_second_cell(file):
    assert load_cell(str(file(LEAKY + "DEFAULT = LEAKY\n"))).name == "leaky"


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"no file '.*nothing\.py'; a cell of your own is given as file\.py:Name"):
        load_cell(f"{tmp_path}/nothing.py:X")


def test_a_file_of_another_kind(file):
    with pytest.raises(UsageError, match=r"must end in \.py"):
        load_cell(f"{file('x', 'cell.txt')}:X")
