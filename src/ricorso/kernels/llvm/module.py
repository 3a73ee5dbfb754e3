"""Modules of machine code for a shape: for training, for inference, and what streams need besides."""

from collections.abc import Sequence

from llvmlite import binding as llvm
from llvmlite import ir

from ricorso.kernels.llvm.control import emit_kernel
from ricorso.kernels.llvm.host import target_machine
from ricorso.kernels.llvm.pack import emit_pack, emit_pack_input
from ricorso.kernels.llvm.project import emit_project
from ricorso.kernels.llvm.shape import Shape
from ricorso.kernels.llvm.steps import emit_steps

# module -> kernel -> the parts it runs, one after the other
MODULES: dict[str, dict[str, tuple[str, ...]]] = {
    "training": {
        "forward": ("pack_forward", "steps_forward"),
        "backward": ("pack_backward", "steps_backward"),
    },
    "inference": {
        "pack": ("pack_inference",),
        "infer": ("steps_inference",),
    },
    "stream": {
        "pack_input": ("pack_input",),
        "project": ("project",),
    },
}


def parts(name: str) -> Sequence[str]:
    """The parts that a module defines."""
    return sorted({part for stages in MODULES[name].values() for part in stages})


def compile_object(shape: Shape, name: str) -> bytes:
    """Relocatable machine code of the module `name`."""
    machine = target_machine(shape.host)
    module = ir.Module(name=f"ricorso_{name}")
    module.triple = shape.host.triple
    module.data_layout = str(machine.target_data)
    wanted = parts(name)
    if "pack_forward" in wanted:
        emit_pack(module, "pack_forward", shape, shape.forward)
        emit_steps(module, "steps_forward", shape, shape.forward, backward=False)
    if "pack_inference" in wanted:
        emit_pack(module, "pack_inference", shape, shape.inference)
        emit_steps(module, "steps_inference", shape, shape.inference, backward=False)
    if "pack_backward" in wanted:
        emit_pack(module, "pack_backward", shape, shape.backward)
        emit_steps(module, "steps_backward", shape, shape.backward, backward=True)
    if "project" in wanted:
        emit_pack_input(module, shape)
        emit_project(module, shape)
    for kernel, stages in MODULES[name].items():
        emit_kernel(module, kernel, stages)
    parsed = llvm.parse_assembly(str(module))
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_unrolling = False
    options.slp_vectorization = False
    options.loop_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    return machine.emit_object(parsed)
