import pytest

from ricorso.cells import ALIASES, CATALOGUE, FAMILIES, get_cell
from ricorso.equations import relu
from ricorso.errors import UsageError


def test_every_cell_says_where_it_comes_from():
    assert all(cell.title and cell.paper for cell in CATALOGUE.values())
    assert all(cell.name == name for name, cell in CATALOGUE.items())


def test_every_cell_is_in_one_family():
    assert [cell for family in FAMILIES.values() for cell in family] == list(CATALOGUE.values())
    assert len(CATALOGUE) == sum(map(len, FAMILIES.values()))


def test_names_and_aliases():
    assert get_cell("LSTM") is CATALOGUE["lstm"]
    assert all(get_cell(alias) is CATALOGUE[name] for alias, name in ALIASES.items())
    cell = CATALOGUE["elman_relu"]
    assert get_cell(cell) is cell
    assert cell.update[cell.states[0]] == relu(cell.gates[0])


def test_a_slip_is_answered_with_the_nearest_name():
    with pytest.raises(UsageError, match="Did you mean 'carry'"):
        get_cell("carri")
