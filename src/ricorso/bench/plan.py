"""Which questions are asked, in which order, and asking them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ricorso.bench import sequence, stream
from ricorso.bench.machine import described, product_rate
from ricorso.bench.onnx_side import missing
from ricorso.bench.question import Answer, Question, ask
from ricorso.bench.section import SECTIONS
from ricorso.equations import Cell

KINDS = tuple(sequence.PAIRS)
Asked = tuple[str, Callable[[], Question]]


@dataclass(frozen=True)
class Plan:
    """What to compare. hidden, batches: every pair of them is asked; one step of a stream has a batch of 1, and ragged
    training the largest batch. cells: others than the LSTM, GRU and RNN, beside a torch loop."""

    sections: tuple[str, ...] = tuple(SECTIONS)
    hidden: tuple[int, ...] = (128, 256)
    batches: tuple[int, ...] = (1, 8, 64)
    steps: int = 100
    cells: tuple[Cell, ...] = ()

    def questions(self) -> Iterator[Asked]:
        """A line about each question, and what makes it; made late, since each holds its tensors."""
        for section in self.sections:
            for name, make in self._makers(section).items():
                for hidden in self.hidden:
                    for batch in self._batches(section):
                        size = f"{hidden} units" + (f", batch {batch}" if section != "step" else "")
                        yield f"{section}, {name}, {size}", partial(make, hidden, batch)

    def left_out(self) -> list[str]:
        """What cannot be asked here or with these sizes, and why."""
        found = []
        if missing() and {"inference", "step"} & set(self.sections):
            found.append(
                f"ONNX Runtime is left out: not installed: {missing()}. To compare: pip install onnx onnxruntime"
            )
        if "ragged" in self.sections and not self._batches("ragged"):
            found.append("Sequences of different lengths are left out: a batch of 1 has one length.")
        return found

    def _batches(self, section: str) -> tuple[int, ...]:
        if section == "step":
            return (1,)
        if section == "ragged":
            return (max(self.batches),) if max(self.batches) > 1 else ()
        return self.batches

    def _makers(self, section: str) -> Mapping[str, Callable[[int, int], Question]]:
        steps, onnx = self.steps, not missing()
        of_kinds: dict[str, Callable[..., Question]] = {
            "training": partial(sequence.training, steps=steps),
            "ragged": partial(sequence.ragged, steps=steps),
            "inference": partial(sequence.inference, steps=steps, onnx=onnx),
            "step": partial(stream.step, onnx=onnx),
        }
        makers: dict[str, Callable[[int, int], Question]] = {kind: partial(of_kinds[section], kind) for kind in KINDS}
        if section in ("training", "inference"):
            for cell in self.cells:
                makers[f"{cell.name} beside a torch loop"] = partial(sequence.of_cell, section, cell, steps=steps)
        return makers


@dataclass(frozen=True)
class Report:
    """What was found. rate: the machine's product rate, floating-point operations a second."""

    plan: Plan
    rate: float
    answers: list[Answer] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=described)

    @property
    def refused(self) -> list[Answer]:
        """The questions whose sides do not compute the same."""
        return [answer for answer in self.answers if answer.refusal]


def run(plan: Plan, seconds: float, tell: Callable[[int, int, str], None] = lambda done, total, label: None) -> Report:
    """Ask everything, each question for about `seconds`. tell: hears how many of how many are done, and what is next.

    >>> report = run(Plan(("step",), hidden=(8,)), seconds=0.01)
    >>> [answer.cell for answer in report.answers]
    ['lstm', 'gru', 'rnn']
    """
    asked = list(plan.questions())
    tell(0, len(asked), "the rate of large products")
    report = Report(plan, product_rate(max(seconds, 0.1)))
    for number, (label, make) in enumerate(asked):
        tell(number, len(asked), label)
        report.answers.append(ask(make(), seconds, report.rate))
    tell(len(asked), len(asked), "done")
    return report
