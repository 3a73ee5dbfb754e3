import pytest

import ricorso

NAMES = {
    "CATALOGUE",
    "Cell",
    "Classifier",
    "Forecaster",
    "GRU",
    "GRUCell",
    "Generator",
    "LSTM",
    "LSTMCell",
    "RNN",
    "RNNCell",
    "Recurrent",
    "RecurrentCell",
    "RicorsoError",
    "accelerate",
    "check_cell",
    "get_cell",
    "Tagger",
    "load",
    "resume",
}


def test_the_public_names_are_these() -> None:
    assert set(ricorso.__all__) == NAMES
    assert set(dir(ricorso)) >= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_name_is_there(name: str) -> None:
    assert getattr(ricorso, name) is not None


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Generatr'"):
        ricorso.Generatr  # noqa: B018
