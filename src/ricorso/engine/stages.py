"""The stages of a cell over time: products by torch's BLAS, between them Triton kernels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ricorso.engine.call import COMPUTED_IN, Call
from ricorso.equations.cell import Cell
from ricorso.kernels.triton.stage import INTO_STATE, Product, Stage, Stages

# Units of one program of an elementwise kernel, values of one program where rows are short, values of one warp.
UNITS, VALUES, VALUES_OF_WARP = 128, 256, 64


@dataclass(frozen=True)
class Held:
    """What a run reads and writes; shapes as in `kernels/triton/kernel.py`, None what a direction does not have."""

    columns: Tensor
    extras: Tensor
    output: Tensor
    others: Tensor
    bias: Tensor | None = None
    gradients: Tensor | None = None
    extra_gradients: Tensor | None = None
    output_gradient: Tensor | None = None
    state_gradients: Tensor | None = None
    vectors: Tensor | None = None


def block(stage: Stage, batch: int, hidden: int) -> tuple[int, int, int]:
    """Rows and units of one program of a stage's kernel, and its warps."""
    units = _power_of_two(hidden) if stage.whole_rows else min(_power_of_two(hidden), UNITS)
    rows = min(max(VALUES // units, 1), _power_of_two(batch))
    return rows, units, min(max(rows * units // VALUES_OF_WARP, 1), 16)


def run(cell: Cell, call: Call, stages: Stages, held: Held, backward: bool) -> Tensor:
    """Do all steps, in `held`; returns the gradients of the parameters, (parameters, hidden_size), if `backward`."""
    return _Run(cell, call, stages, held, backward).run()


class _Run:
    def __init__(self, cell: Cell, call: Call, stages: Stages, held: Held, backward: bool) -> None:
        self.cell, self.call, self.stages, self.held, self.backward = cell, call, stages, held, backward
        self.states, self.batch, self.hidden = call.initial.shape
        self.length = call.inputs.shape[0]
        self.initial = call.initial.contiguous()
        computed, new = COMPUTED_IN[call.dtype], self.initial.new_empty
        self.temporaries = new(stages.temporaries, self.batch, self.hidden, dtype=computed)
        self.products = new(stages.slots * self.batch * self.hidden)
        blocks = max(-(-self.batch // block(stage, self.batch, self.hidden)[0]) for stage in stages.stages)
        parameters = len(cell.parameters) if backward else 0
        self.sums = new(blocks, parameters, self.hidden, dtype=computed).zero_()
        self.work = [
            ([self._multiplication(product) for product in stage.products], None if stage.idle else self._launch(stage))
            for stage in stages.stages
        ]

    def run(self) -> Tensor:
        with torch.cuda.device_of(self.initial):  # type: ignore[no-untyped-call]
            if self.stages.inside:
                ((_, launch),) = self.work
                assert launch is not None
                launch(0, self.length)
            else:
                for number in range(self.length):
                    self._step(number)
        return self.sums.sum(0)

    def _step(self, number: int) -> None:
        t = number if self.backward == self.call.reverse else self.length - 1 - number
        if self.stages.gathered:
            assert self.held.state_gradients is not None
            assert self.held.output_gradient is not None
            self.held.state_gradients[0] += self.held.output_gradient[t]
        for products, launch in self.work:
            for multiply in products:
                multiply(t)
            if launch is not None:
                launch(number, number + 1)

    def _multiplication(self, product: Product) -> Callable[[int], object]:
        """Multiplies at a step."""
        heads, size = self.call.heads, self.batch * self.hidden
        weights, sources = self._weights(product), self._sources(product)
        if product.slot == INTO_STATE:
            assert self.held.state_gradients is not None
            result = self._by_heads(self.held.state_gradients[0])
        else:
            count = 1 if product.transposed else product.count
            result = self.products[product.slot * size : (product.slot + count) * size].view(heads, self.batch, -1)
        result = result[0] if heads == 1 else result
        multiply: Callable[..., Tensor] = torch.mm if heads == 1 else torch.bmm
        add: Callable[..., Tensor] = result.addmm_ if heads == 1 else result.baddbmm_

        def at(t: int) -> object:
            vector = sources[t].to(weights.dtype)
            if heads > 1:
                vector = self._by_heads(vector)
            if result.dtype != weights.dtype:
                found = multiply(vector, weights)
                return result.add_(found) if product.add else result.copy_(found)
            return add(vector, weights) if product.add else multiply(vector, weights, out=result)

        return at

    def _by_heads(self, vectors: Tensor) -> Tensor:
        """(batch, vectors * hidden_size) to (heads, batch, vectors * hidden_size / heads)."""
        depth = self.hidden // self.call.heads
        return vectors.reshape(self.batch, -1, self.call.heads, depth).permute(2, 0, 1, 3).flatten(2)

    def _weights(self, product: Product) -> Tensor:
        """The matrices of a product, (depth, results), or one such matrix for each head."""
        assert self.call.weight_hh is not None
        heads, depth = self.call.heads, self.hidden // self.call.heads
        rows = self.call.weight_hh[product.matrix * self.hidden : (product.matrix + product.count) * self.hidden]
        if heads == 1:
            return rows if product.transposed else rows.t()
        blocks = rows.reshape(product.count, heads, depth, depth)
        if product.transposed:
            return blocks.transpose(0, 1).flatten(1, 2)
        return blocks.permute(1, 3, 0, 2).flatten(2)

    def _sources(self, product: Product) -> Sequence[Tensor]:
        """The vectors of a product at each step, (batch, vectors * hidden_size)."""
        held, (kind, number) = self.held, product.source
        state = held.output if number == 0 else held.others[number - 1] if number <= len(held.others) else None
        if kind == "old":
            assert state is not None
            if self.call.reverse:
                return (*state.unbind(0)[1:], self.initial[number])
            return (self.initial[number], *state.unbind(0)[:-1])
        if kind == "new":
            assert state is not None
            return state.unbind(0)
        leaves = {
            "column": held.columns,
            "extra": held.extras,
            "d_column": held.gradients,
            "d_extra": held.extra_gradients,
        }
        if kind in leaves:
            width = product.count if kind.startswith("d_") else 1
            source = leaves[kind]
            assert source is not None
            return source[:, :, number * self.hidden : (number + width) * self.hidden].unbind(0)
        if kind == "vector":
            assert held.vectors is not None
            return held.vectors[number].unbind(0)
        lasting = {"temporary": self.temporaries, "d_new": held.state_gradients, "d_old": held.state_gradients}[kind]
        assert lasting is not None
        return [lasting[number]] * self.length

    def _launch(self, stage: Stage) -> Callable[[int, int], object]:
        """Launches a stage's kernel for steps `begin` to `end`."""
        import triton.language as tl

        from ricorso.kernels.triton.kernel import Memory
        from ricorso.kernels.triton.kernel import run as kernel

        call, held = self.call, self.held
        rows, units, warps = block(stage, self.batch, self.hidden)
        memory = Memory(
            columns=held.columns,
            extras=held.extras,
            gradients=held.gradients,
            extra_gradients=held.extra_gradients,
            output=held.output,
            others=held.others,
            initial=self.initial,
            wide=self.initial.to(COMPUTED_IN[call.dtype]),
            bias=held.bias,
            parameters=None if call.parameters is None else call.parameters.contiguous(),
            signals=None if call.signals is None else call.signals.contiguous(),
            output_gradient=held.output_gradient,
            state_gradients=held.state_gradients,
            vectors=held.vectors,
            temporaries=self.temporaries,
            products=self.products,
            sums=self.sums,
        )
        return partial(
            _start,
            kernel,
            (-(-self.batch // rows), -(-self.hidden // units)),
            memory,
            (self.length, self.batch, _signed(call.seed), _signed(call.seed >> 32), _signed(call.first_step)),
            {
                "program": stage.program,
                "HIDDEN": self.hidden,
                "HEADS": call.heads,
                "INPUTS": len(self.cell.input_gates),
                "EXTRAS": len(self.cell.leaves) - len(self.cell.input_gates),
                "PARAMETERS": len(self.cell.parameters),
                "REVERSE": call.reverse,
                "BACKWARD": self.backward,
                "ROWS": rows,
                "UNITS": units,
                "TYPE": tl.float64 if call.dtype == torch.float64 else tl.float32,
                "num_warps": warps,
            },
        )


def _start(
    kernel: Any,
    grid: tuple[int, int],
    memory: object,
    numbers: tuple[int, ...],
    constants: dict[str, object],
    begin: int,
    end: int,
) -> None:
    kernel[grid](memory, begin, end, *numbers, **constants)


def _power_of_two(x: int) -> int:
    return 1 << (x - 1).bit_length()


def _signed(x: int) -> int:
    """The lower 32 bits as a signed number."""
    x &= 0xFFFFFFFF
    return x - (1 << 32) if x >= 1 << 31 else x
