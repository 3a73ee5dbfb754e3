import pytest

from ricorso.errors import UsageError
from ricorso.tasks.generate.config import GenerateConfig
from ricorso.tuning.space import Choice, Range, check_space, read_space, read_vary, to_json


@pytest.mark.parametrize(
    ("name", "description", "read"),
    [
        ("hidden_size", "64..512", Range(64, 512)),
        ("hidden_size", "64..500:64", Range(64, 448, step=64)),
        ("hidden_size", "32,64", Choice((32, 64))),
        ("hidden_size", [32, 64], Choice((32, 64))),
        ("learning_rate", "1e-4..1e-2:log", Range(1e-4, 1e-2, log=True)),
        ("dropout", {"low": 0, "high": 0.5, "step": 0.1}, Range(0.0, 0.5, step=0.1)),
        ("dropout", Range(0, 1), Range(0.0, 1.0)),
        ("embedding_size", "none, 64", Choice((None, 64))),
        ("cell", "gru,../mine.py:Mine", Choice(("gru", "../mine.py:Mine"))),
        ("level", ["character", "byte"], Choice(("character", "byte"))),
    ],
)
def test_what_people_write_is_read(name, description, read):
    space = read_space({name: description}, GenerateConfig)
    assert space == {name: read}
    assert isinstance(read, Choice) or type(space[name].low) is type(read.low)
    assert read_space(to_json(space), GenerateConfig) == space
    assert read_space({name: str(space[name])}, GenerateConfig) == space


@pytest.mark.parametrize(
    ("name", "description", "message"),
    [
        ("hidden_size", "64..512:log:2", "got 'log:2'"),
        ("hidden_size", "64.5..512", "got '64.5'"),
        ("hidden_size", "512..64", "low must be below high, got 512..64"),
        ("hidden_size", "a,b", "are whole numbers; got 'a'"),
        ("hidden_size", [64, True], "got True"),
        ("hidden_size", "64,64", "a value comes twice"),
        ("hidden_size", 64, "got 64"),
        ("dropout", "0..0.5:log", "starts above 0 and has no step"),
        ("dropout", "0..0.5:0.7", "the step must be above 0 and fit"),
        ("dropout", "0..nan", "got 'nan'"),
        ("dropout", {"low": 0, "hgih": 1}, "a range has low, high, and log or step; got low, hgih"),
        ("num_layers", "none,2", "it cannot be left out"),
        ("cell", {"low": 0, "high": 1}, "got a range, but it is no number"),
        ("cell", "gru,,lstm", "got ''"),
        ("droput", "0..1", "There is no setting 'droput' to search over. Did you mean 'dropout'?"),
    ],
)
def test_what_is_no_range_or_list_is_refused(name, description, message):
    with pytest.raises(UsageError) as error:
        read_space({name: description}, GenerateConfig)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["dropout", "=1,2", "dropout=", "dropout= "])
def test_vary_needs_a_name_and_values(text):
    with pytest.raises(UsageError, match="--vary needs NAME=VALUES"):
        read_vary((text,))


def test_vary_twice_is_refused():
    with pytest.raises(UsageError, match="names 'hidden_size' twice"):
        read_vary(("hidden-size=1,2", "hidden_size=3,4"))


def test_a_value_that_needs_another_searched_one_passes():
    space = read_space({"tied": "true,false", "embedding_size": "32,64"}, GenerateConfig)
    check_space(space, {}, GenerateConfig)
    with pytest.raises(UsageError):
        check_space({"tied": Choice((True,))}, {}, GenerateConfig)


def test_numbers_are_rounded_to_what_can_be_typed_but_never_out_of_range():
    assert Range(1e-4, 1e-1, log=True).used(0.0123456) == 0.0123
    assert Range(0.12345, 0.2).used(0.1234501) == 0.12345
    assert Range(1, 10).used(7) == 7
