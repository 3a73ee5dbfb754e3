"""What the input brings to the steps, against torch's product."""

import pytest
import torch
from problem import kernel_cell, problem

from ricorso.cells import CATALOGUE
from ricorso.engine import products, team
from ricorso.engine.arguments import kernels_for
from ricorso.engine.projection import Projection

CELLS = {name: kernel_cell(cell) for name, cell in CATALOGUE.items() if cell.input_gates}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", CELLS)
def test_columns_are_those_of_a_product(name, threads, dtype, monkeypatch):
    monkeypatch.setattr(team, "WORTH_SHARING", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    cell = CELLS[name]
    for sizes in ((1, 1, 1, 8), (4, 5, 3, 8), (3, 7, 130, 8)):
        for bias in (True, False):
            call = problem(cell, sizes, dtype, bias=bias)
            with torch.no_grad():
                found = Projection(kernels_for(cell, call), cell, call).columns(call)
                wanted = products.project(cell, call)
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-13)


def test_inputs_with_gaps_are_read_right():
    cell = CELLS["gru"]
    call = problem(cell, (6, 5, 4, 8), torch.float64)
    wide = torch.randn(5, 6, 9, dtype=torch.float64)
    call = call.with_tensors((wide.transpose(0, 1)[..., 2:6], *call.tensors[1:]))
    with torch.no_grad():
        found = Projection(kernels_for(cell, call), cell, call).columns(call)
        torch.testing.assert_close(found, products.project(cell, call), rtol=0, atol=1e-13)
