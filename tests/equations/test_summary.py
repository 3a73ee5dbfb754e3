import pytest

from ricorso.cells import CATALOGUE
from ricorso.equations import Cell, gates, products, states, tanh
from ricorso.equations.render import text
from ricorso.equations.summary import count, count_in_words, recurrence, starting

ELEMENTWISE = {"indrnn", "sru_peephole"}
LINEAR = {"sru", "qrnn", "mingru", "minlstm", "rglru", "lru"}


@pytest.mark.parametrize("cell", CATALOGUE.values(), ids=lambda cell: cell.name)
def test_how_the_state_comes_back(cell):
    kinds = {"slstm": "block-diagonal", **dict.fromkeys(ELEMENTWISE, "elementwise"), **dict.fromkeys(LINEAR, "linear")}
    assert recurrence(cell) == kinds.get(cell.name, "dense")


def test_a_matrix_between_two_states_counts_when_it_closes_a_circle():
    (p,), (y,), (h, c) = gates("p"), products("y"), states("h c")
    reading = Cell("r", (p, y), (h, c), {c: tanh(p.x) + p.u + c, h: y}, product_of={y: c.new, p: h})
    assert recurrence(reading) == "dense"
    apart = Cell("a", (p, y), (h, c), {c: tanh(p) + c, h: y}, product_of={y: c.new, p: c})
    assert recurrence(apart) == "dense"


@pytest.mark.parametrize(
    ("name", "words", "numbers"),
    [
        ("lstm", "weights 4 H I + 4 H\u00b2, biases 8 H", (24576, 512, 0, 0)),
        ("slstm", "weights 4 H I + 4 H\u00b2 / 4 heads, biases 8 H", (12288, 512, 0, 0)),
        ("fastgrnn", "weights H I + H\u00b2, biases 2 H, per unit H, shared 2", (6144, 128, 64, 2)),
        ("lru", "weights 3 H I + 2 H\u00b2, biases 5 H, per unit 3 H", (14336, 320, 192, 0)),
        ("indrnn", "weights H I, biases H, per unit H", (2048, 64, 64, 0)),
    ],
)
def test_trained_numbers(name, words, numbers):
    found = count(CATALOGUE[name], 32, 64)
    assert (found.weights, found.biases, found.per_unit, found.shared) == numbers
    assert found.total == sum(numbers)
    assert count_in_words(CATALOGUE[name]) == words


def test_starting_values():
    assert starting(CATALOGUE["lstm_peephole"]) == [
        "recurrent matrices: orthogonal",
        "bias of f = 1",
        "w_i, w_f, w_o = 0",
    ]
    assert starting(CATALOGUE["mingru"], long=True) == [
        "bias of z = -log(u*(horizon - 2) + 1)",
        "u: uniform in (0, 1), drawn for each unit",
    ]
    assert starting(CATALOGUE["carry"], long=True) == []


def test_many_paths_through_products_take_no_time():
    chain, (h,) = gates(" ".join(f"k{n}" for n in range(60))), states("h")
    vectors = {k: h * near * far for k, near, far in zip(chain[:-2], chain[1:-1], chain[2:], strict=True)}
    cell = Cell("chain", chain, (h,), {h: tanh(chain[0])}, product_of=vectors)
    assert recurrence(cell) == "dense"
    assert len(text(cell).splitlines()) == 61
