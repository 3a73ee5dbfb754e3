"""The block of 64-bit integers through which a kernel gets its addresses and sizes.

All matrices are row-major; strides count elements. A sequence buffer has one row for each (step, batch row). "stored"
marks what is kept in the element type of the layer; everything else is in the type that kernels compute in.
"""

import ctypes
from collections.abc import Mapping

NAMES = (
    "threads",  # how many threads to ask for
    "fork",  # address of GOMP_parallel, or 0
    "thread_number",  # address of omp_get_thread_num
    "team_size",  # address of omp_get_num_threads
    "yield_processor",  # address of sched_yield, or 0
    "arrivals",  # counts arrivals at the barrier; 0 at the start
    "split_units",  # 1: threads share the units and meet at barriers; 0: they share the batch rows
    "steps",
    "batch",
    "reverse",  # 1: time runs from the last step to the first
    "columns",  # stored (steps, batch, input gates * hidden) input projections in, values saved for backward out
    "extras",  # stored (steps, batch, other leaves * hidden) values saved for backward out
    "token_ids",  # (steps, batch) int64 rows of `token_table`, or 0: use the projections in `columns`
    "token_table",  # stored (symbols, input gates * hidden)
    "recurrent_bias",  # (product gates * hidden)
    "parameters",  # (parameters, hidden)
    "signals",  # (signals, steps, batch)
    "seed",  # of the random numbers
    "first_step",  # the number of step 0, for the random numbers
    "temporaries",  # (temporaries, batch, hidden) working memory
    "weight",  # stored (gates * hidden, depth) R, or W to be packed, as torch keeps it
    "depth",  # columns of the W that is to be packed
    "packed",  # stored R as this kernel wants it
    "output",  # stored (steps, batch, output_stride) the first state
    "output_stride",
    "initial",  # stored (batch, hidden) output before the first step
    "initial_others",  # (states - 1, batch, hidden) the other states before the first step
    "others",  # (states - 1, steps, batch, hidden) the other states
    "output_gradient",  # stored (steps, batch, ...) with the two strides below
    "output_gradient_step",
    "output_gradient_row",
    "column_gradients",  # stored, as columns
    "extra_gradients",  # stored, as extras
    "state_gradients",  # (states, batch, hidden): of the final states in, of the initial states out
    "vectors",  # stored (vectors, steps, batch, hidden) what recurrent matrices multiplied
    "sums",  # (threads, parameters, hidden) gradients of parameters, added to
    "inputs",  # (batch, input_stride) for a projection
    "input_stride",
    "input_size",
    "bias",  # (input gates * hidden) start of a projection
)
INDEX = {name: index for index, name in enumerate(NAMES)}
Arguments = ctypes.Array[ctypes.c_int64]
Block = ctypes.c_int64 * len(NAMES)


def block(values: Mapping[str, int]) -> Arguments:
    """An argument block with the given values, zero elsewhere."""
    made = Block()
    for name, value in values.items():
        made[INDEX[name]] = value
    return made
