"""Modules of machine code for a shape: for training, for inference, and the products with the input."""

from collections.abc import Sequence

from ricorso.kernels.llvm.control import emit_kernel
from ricorso.kernels.llvm.object import new_module, object_code
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
        "step": ("steps_stream",),
    },
    "projection": {
        "pack_input": ("pack_input",),
        "project": ("project",),
    },
}


def parts(name: str) -> Sequence[str]:
    """The parts that a module defines."""
    return sorted({part for stages in MODULES[name].values() for part in stages})


def compile_object(shape: Shape, name: str) -> bytes:
    """Relocatable machine code of the module `name`."""
    module = new_module(shape.host, name)
    wanted = parts(name)
    if "pack_forward" in wanted:
        emit_pack(module, "pack_forward", shape, shape.forward)
        emit_steps(module, "steps_forward", shape, shape.forward, backward=False)
    if "pack_inference" in wanted:
        emit_pack(module, "pack_inference", shape, shape.inference)
        emit_steps(module, "steps_inference", shape, shape.inference, backward=False)
    if "steps_stream" in wanted:
        emit_steps(module, "steps_stream", shape, shape.inference, backward=False, projecting=True)
    if "pack_backward" in wanted:
        emit_pack(module, "pack_backward", shape, shape.backward)
        emit_steps(module, "steps_backward", shape, shape.backward, backward=True)
    if "project" in wanted:
        emit_pack_input(module, shape)
        emit_project(module, shape)
    for kernel, stages in MODULES[name].items():
        emit_kernel(module, kernel, stages)
    return object_code(shape.host, module)
