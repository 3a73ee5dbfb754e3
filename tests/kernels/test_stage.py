import pytest

from ricorso.cells import CATALOGUE
from ricorso.equations import Cell, gates, states
from ricorso.equations.transform import folded, layer_normalised
from ricorso.kernels.triton.stage import INTO_STATE, LASTING, backward_stages, forward_stages

CELLS = {name: folded(cell)[0] for name, cell in CATALOGUE.items()}
DIRECTIONS = {"forward": forward_stages, "backward": backward_stages}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", CELLS)
def test_values_are_computed_before_they_are_used(name, direction):
    found = DIRECTIONS[direction](CELLS[name])
    for stage in found.stages:
        states = len(CELLS[name].states) if found.inside else 0
        known = len(stage.lasting) + states + len(stage.loads)
        for operation, *arguments, _ in stage.work:
            assert operation == "constant" or max(arguments) < known
            known += 1
        for value, *_ in (*stage.stores, *stage.sums):
            assert value < known
        assert all(load[0] in LASTING for load in stage.lasting)
        assert not any(load[0] in LASTING for load in stage.loads)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", CELLS)
def test_what_is_put_aside_is_read_later_and_what_is_read_was_put_there(name, direction):
    put, read = set(), set()
    for stage in DIRECTIONS[direction](CELLS[name]).stages:
        wanted = {load[:2] for load in stage.loads} | {product.source for product in stage.products}
        temporary = {place for place in wanted if place[0] == "temporary"}
        assert temporary <= put
        read |= temporary
        put |= {(kind, number) for _, kind, number in stage.stores if kind == "temporary"}
    assert put == read


@pytest.mark.parametrize("name", [name for name, cell in CELLS.items() if not cell.product_gates])
def test_cells_without_products_keep_the_time_loop_in_one_kernel(name):
    for direction in DIRECTIONS.values():
        found = direction(CELLS[name])
        assert found.inside
        assert len(found.stages) == 1
        assert len(found.stages[0].carried) == len(CELLS[name].states)


def test_one_product_and_one_kernel_a_step():
    forward, backward = forward_stages(CELLS["lstm"]), backward_stages(CELLS["lstm"])
    assert [[p.count for p in stage.products] for stage in forward.stages] == [[4]]
    first, last = backward.stages
    assert not first.products
    assert last.idle
    assert [(p.count, p.slot, p.transposed) for p in last.products] == [(4, INTO_STATE, True)]


def test_products_are_added_to_the_rest_of_a_gradient():
    first, last = backward_stages(CELLS["gru"]).stages
    assert last.idle
    assert all(product.add for product in last.products)
    assert "d_old" in [kind for _, kind, _ in first.stores]


def test_means_need_whole_rows():
    assert not forward_stages(CELLS["gru"]).stages[0].whole_rows
    (stage,) = forward_stages(folded(layer_normalised(CATALOGUE["gru"]))[0]).stages
    assert stage.whole_rows


def test_a_gradient_that_is_multiplied_as_it_comes_is_gathered_first():
    (p,), (h,) = gates("p"), states("h")
    found = backward_stages(Cell("straight", gates=(p,), states=(h,), update={h: p}))
    assert found.gathered
    assert "d_output" not in [load[0] for stage in found.stages for load in stage.loads]
