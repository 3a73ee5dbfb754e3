"""TensorBoard as a second place for what a training tells; metrics.jsonl remains the first."""

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ricorso.errors import TrainingError, UsageError
from ricorso.training.listener import Listener, Listeners

_STEP = ("learning_rate", "gradient_norm", "clip_rate", "symbols_per_second", "skipped")
_PLACE = ("step", "seconds", "best")


class TensorBoard(Listener):
    """Writes figures and samples to a folder for TensorBoard.

    after: the step that training goes on from; what an earlier process wrote of later ones is hidden. every: steps
    between two points of a curve, whose loss is the mean over them.
    Raises UsageError when the package is missing or the folder cannot be written, TrainingError when it no longer can.
    """

    def __init__(self, folder: Path, after: int = 0, every: int = 10) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError(
                f"Writing for TensorBoard needs a package that is missing ({error}). "
                f"Install it: pip install 'ricorso[track]', or leave the option tensorboard out."
            ) from error
        self.folder, self.every = folder, every
        self._step = after
        self._losses: list[float] = []
        try:
            self._writer = SummaryWriter(str(folder), purge_step=after + 1)
            self._writer.flush()
        except OSError as error:
            raise UsageError(
                f"'{folder}' cannot be written for TensorBoard ({error.strerror}); name another folder."
            ) from error

    def on_step(self, figures: Mapping[str, Any]) -> None:
        """Write the figures of every so many steps."""
        self._step = figures["step"]
        self._losses.append(figures["loss"])
        if self._step % self.every:
            return
        finite = [loss for loss in self._losses if math.isfinite(loss)]
        self._losses.clear()
        means = {"loss": sum(finite) / len(finite)} if finite else {}
        self._scalars("train", means | {name: figures[name] for name in _STEP if name in figures})

    def on_skipped(self, figures: Mapping[str, Any]) -> None:
        """Write what was skipped as text."""
        what = f"loss {figures['loss']}, norm of the gradient {figures['gradient_norm']}"
        self._text("skipped", "\n".join([what, *figures["batches"]]), figures["step"])

    def on_validation(self, figures: Mapping[str, Any]) -> None:
        """Write everything that was measured."""
        self._step = figures["step"]
        measured = {name: value for name, value in figures.items() if name not in _PLACE}
        self._scalars("validation", {name.removeprefix("validation_"): value for name, value in measured.items()})

    def on_sample(self, text: str) -> None:
        """Write a sample as text."""
        self._text("sample", text, self._step)

    def on_checkpoint(self, folder: Path) -> None:
        """See to it that nothing of before a checkpoint is missing when training goes on from there."""
        self._write(self._writer.flush)

    def close(self) -> None:
        """Write what is left."""
        self._write(self._writer.close)

    def _scalars(self, group: str, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, int | float) and math.isfinite(value):
                self._write(self._writer.add_scalar, f"{group}/{name}", value, self._step)

    def _text(self, tag: str, text: str, step: int) -> None:
        # TensorBoard reads Markdown, where indented lines stay as they are
        self._write(self._writer.add_text, tag, "\n".join(f"    {line}" for line in text.split("\n")), step)

    def _write(self, call: Callable[..., object], *arguments: object) -> None:
        try:
            call(*arguments)
        except OSError as error:
            raise TrainingError(
                f"'{self.folder}' can no longer be written for TensorBoard ({error.strerror or error}). "
                f"Make room, then go on from the last checkpoint with: ricorso resume RUN"
            ) from error


@contextmanager
def tracked(listener: Listener, folder: str | None, run: Path | None, after: int, every: int) -> Iterator[Listener]:
    """Within the block, a listener that also writes to a folder for TensorBoard; to none where that is None.

    Each run has its own place in the folder, by its name. The rest is as for TensorBoard.

    >>> with tracked(Listener(), folder=None, run=None, after=0, every=10) as listener:
    ...     type(listener).__name__
    'Listener'
    """
    if folder is None:
        yield listener
        return
    board = TensorBoard(Path(folder) / run.resolve().name if run else Path(folder), after, every)
    with _writer_in_silence():
        try:
            yield Listeners(listener, board)
        finally:
            board.close()


@contextmanager
def _writer_in_silence() -> Iterator[None]:
    """Within the block, TensorBoard's thread prints no traceback: what it meets is raised by the next call anyway."""
    usual = threading.excepthook

    def hook(arguments: threading.ExceptHookArgs) -> None:
        if not type(arguments.thread).__module__.startswith("tensorboard."):
            usual(arguments)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = usual
