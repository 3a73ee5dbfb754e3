"""The block of 64-bit integers through which a kernel gets its addresses and sizes.

All matrices are row-major; strides count elements. A sequence buffer has one row for each step of each sequence: the
rows of step t are numbers offsets[t] to offsets[t + 1], sequences that last longer come first. "stored" marks what is
kept in the element type of the layer; everything else is in the type that kernels compute in.
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
    "offsets",  # (steps + 1) int64: where the rows of each step begin in a sequence buffer
    "rows",  # of a sequence buffer
    "places",  # (rows) int64: the row of `output` and `output_gradient` for each row of the others, or 0: the same
    "reverse",  # 1: time runs from the last step to the first
    "columns",  # stored (rows, input gates * hidden) input projections in, values saved for backward out
    "extras",  # stored (rows, other leaves * hidden) values saved for backward out
    "token_ids",  # (rows) int64 rows of `token_table`, or 0: use the projections in `columns`
    "token_table",  # stored (symbols, input gates * hidden)
    "recurrent_bias",  # (product gates * hidden)
    "parameters",  # (parameters, hidden)
    "signals",  # (signals, rows)
    "seed",  # of the random numbers
    "first_step",  # the number of step 0, for the random numbers
    "mirrored",  # 1: weights are gone through from their end in even steps, 0: in odd ones
    "temporaries",  # (temporaries, batch, hidden) working memory
    "weight",  # stored (gates * hidden, depth) R, or W to be packed, as torch keeps it
    "depth",  # columns of the W that is to be packed
    "packed",  # stored R as this kernel wants it
    "packed_input",  # stored W as this kernel wants it
    "output",  # stored (rows, output_stride) the first state
    "output_stride",
    "initial",  # stored (batch, hidden) output before the first step
    "initial_others",  # (states - 1, batch, hidden) the other states before the first step
    "others",  # (states - 1, rows, hidden) the other states
    "output_gradient",  # stored, at step * first + sequence * second + place * third of the strides below
    "output_gradient_step",
    "output_gradient_sequence",
    "output_gradient_place",
    "column_gradients",  # stored, as columns
    "extra_gradients",  # stored, as extras
    "state_gradients",  # (states, batch, hidden): of the final states in, of the initial states out
    "vectors",  # stored (vectors, rows, hidden) what recurrent matrices multiplied
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
