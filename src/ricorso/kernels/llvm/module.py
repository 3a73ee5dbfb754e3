"""One module of machine code for a cell, a number of units and an element type."""

from llvmlite import binding as llvm
from llvmlite import ir

from ricorso.equations.cell import Cell
from ricorso.kernels.llvm.backward import emit_backward, emit_pack_backward
from ricorso.kernels.llvm.control import emit_kernel
from ricorso.kernels.llvm.forward import Shape, emit_forward, emit_pack_forward, emit_project
from ricorso.kernels.llvm.host import Host, target_machine
from ricorso.kernels.llvm.tile import choose_tile

KERNELS: dict[str, tuple[str, ...]] = {
    "pack": ("pack_forward",),
    "project": ("project",),
    "step": ("steps_forward",),
    "forward": ("pack_forward", "steps_forward"),
    "backward": ("pack_backward", "steps_backward"),
}


def shape_for(host: Host, cell: Cell, dtype: str, hidden: int) -> Shape:
    """The tiles that suit this processor."""
    lanes = host.vector_bytes // (4 if dtype == "float32" else 8)
    return Shape(
        cell,
        dtype,
        hidden,
        forward=choose_tile(host, hidden, len(cell.gates), lanes),
        backward=choose_tile(host, hidden, 1, lanes),
    )


def compile_object(host: Host, shape: Shape) -> bytes:
    """Relocatable machine code of all kernels of `shape`."""
    machine = target_machine(host)
    module = ir.Module(name=f"ricorso_{shape.cell.name}_{shape.hidden}_{shape.dtype}")
    module.triple = host.triple
    module.data_layout = str(machine.target_data)
    emit_pack_forward(module, shape)
    emit_pack_backward(module, shape)
    emit_project(module, shape)
    emit_forward(module, shape)
    emit_backward(module, shape)
    for name, parts in KERNELS.items():
        emit_kernel(module, name, parts)
    parsed = llvm.parse_assembly(str(module))
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_unrolling = False
    options.slp_vectorization = False
    options.loop_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    return machine.emit_object(parsed)
