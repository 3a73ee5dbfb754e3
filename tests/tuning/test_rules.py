import pytest

from ricorso.cells import CATALOGUE
from ricorso.errors import DataError
from ricorso.tasks import TASKS
from ricorso.tuning.folds import text_blocks
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


def test_blocks_of_a_text_are_contiguous_and_cover_it(tmp_path):
    text = "".join(chr(ord("a") + place % 26) for place in range(101)) + "é\n"
    (tmp_path / "text.txt").write_text(text, encoding="latin-1")
    parts = text_blocks(tmp_path / "text.txt", {"encoding": "latin-1"}, 4, tmp_path / "folds")
    held_out = [validation.read_text(encoding="latin-1") for _, validation in parts]
    assert "".join(held_out) == text
    assert max(map(len, held_out)) - min(map(len, held_out)) <= 1
    for (training, _), block in zip(parts, held_out, strict=True):
        assert training.read_text(encoding="latin-1") == text.replace(block, "", 1)


def test_a_text_of_a_few_symbols_has_no_folds(tmp_path):
    (tmp_path / "text.txt").write_text("abc\n")
    with pytest.raises(DataError, match="has 4 characters, too few for 3 folds"):
        text_blocks(tmp_path / "text.txt", {}, 3, tmp_path / "folds")
