import pytest

from ricorso.cells import CATALOGUE
from ricorso.errors import UsageError
from ricorso.tasks import TASKS
from ricorso.tuning.rules import RULES, rules_of
from ricorso.tuning.space import check_space, read_space


def test_what_can_be_searched_over_are_tasks():
    assert "generate" in RULES
    assert set(RULES) <= set(TASKS)


@pytest.mark.parametrize("task", RULES)
def test_the_usual_space_is_one_that_the_config_accepts(task):
    rules = rules_of(task)
    space = read_space(rules.space, rules.load_config())
    check_space(space, rules.quiet, rules.load_config())
    assert {"hidden_size", "num_layers", "cell", "learning_rate", "dropout"} <= set(space)
    assert {cell.split("_")[-1] for cell in space["cell"].values} >= {"gru", "lstm", "tanh", "relu"}
    assert set(space["cell"].values) <= set(CATALOGUE)


@pytest.mark.parametrize("task", RULES)
def test_what_is_kept_apart_or_warned_of_are_settings_that_are_not_in_the_usual_space(task):
    rules = rules_of(task)
    named = {*rules.apart, *rules.beware}
    assert named <= set(rules.load_config().model_fields)
    assert not named & set(rules.space)
    assert not set(rules.apart) & set(rules.beware)


@pytest.mark.parametrize(
    ("task", "name"),
    [("forecast", "scaling"), ("forecast", "loss"), ("forecast", "quantiles"), ("forecast", "horizon"),
     ("generate", "level")],
)  # fmt: skip
def test_what_changes_the_unit_of_the_loss_is_not_searched(task, name):
    with pytest.raises(UsageError, match=f"'{name}' cannot be searched: .* would not compare"):
        rules_of(task).check_comparable({"dropout": "0..0.5", name: "a,b"})
