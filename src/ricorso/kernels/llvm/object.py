"""Machine code from a module of LLVM's language."""

from llvmlite import binding as llvm
from llvmlite import ir

from ricorso.kernels.llvm.host import Host, target_machine


def new_module(host: Host, name: str) -> ir.Module:
    """An empty module for a processor."""
    module = ir.Module(name=f"ricorso_{name}")
    module.triple = host.triple
    module.data_layout = str(target_machine(host).target_data)
    return module


def object_code(host: Host, module: ir.Module) -> bytes:
    """The module as relocatable machine code. Loops and vectors stay as they were emitted."""
    machine = target_machine(host)
    parsed = llvm.parse_assembly(str(module))
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_unrolling = options.slp_vectorization = options.loop_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    return machine.emit_object(parsed)
