"""Showing a training as it runs: a bar on a terminal, plain lines elsewhere; always on standard error."""

import math
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.rule import Rule
from rich.text import Text

from ricorso.training.listener import Listener

SECONDS_BETWEEN_LINES = 10.0


def duration(seconds: float) -> str:
    """Return a length of time for people.

    >>> duration(8.2), duration(75), duration(3725)
    ('8s', '1:15', '1:02:05')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


def quantity(number: float) -> str:
    """Return a count in three digits or so.

    >>> quantity(870), quantity(18234), quantity(2_100_000)
    ('870', '18.2k', '2.1M')
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.0f}"


class TrainingDisplay(Listener):
    """Shows a training as it runs. Use it in a `with` block, which gives the terminal back at the end."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.bar = Progress(
            TextColumn("{task.percentage:>3.0f}%"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}"),
            console=self.console,
            transient=True,
            expand=True,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("training", total=1.0, figures="starting")
        self.started = False
        self.skipping = False
        self.validation: float | None = None
        self.last_line = time.monotonic()

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def on_start(self, info: Mapping[str, Any]) -> None:
        """Say what is trained on what."""
        self.started = True
        self._say(
            f"{info['cell']}, {info['parameters']:,} parameters; {info['about']}; {info['threads']} threads. "
            f"Run folder: {info['run']}"
        )

    def on_step(self, figures: Mapping[str, Any]) -> None:
        """Move the bar; off a terminal, print a line now and then."""
        shown = self._shown(figures)
        if self.skipping and math.isfinite(figures["loss"]) and math.isfinite(figures["gradient_norm"]):
            self.skipping = False
            self._say(f"Step {figures['step']} is sound again; training goes on ({figures['skipped']} skipped so far).")
        self.bar.update(self.task, completed=figures["progress"], figures=shown)
        now = time.monotonic()
        if not self.console.is_terminal and now - self.last_line >= SECONDS_BETWEEN_LINES:
            self.last_line = now
            self._say(f"{figures['progress']:4.0%}  {shown}")

    def on_skipped(self, figures: Mapping[str, Any]) -> None:
        """Tell what was left out and why."""
        self.skipping = True
        where = "; ".join(figures["batches"])
        what = f"loss {figures['loss']}, norm of the gradient {figures['gradient_norm']}"
        self._say(f"Step {figures['step']} was skipped: {what}" + (f"; {where}" if where else ""))

    def on_validation(self, figures: Mapping[str, Any]) -> None:
        """Remember the validation loss, so that the bar shows it."""
        self.validation = figures["validation_loss"]

    def on_sample(self, text: str) -> None:
        """Print what the model writes at this moment."""
        if not text:
            return
        if self.console.is_terminal:
            self.console.print(Rule("sample", style="dim"))
            self.console.print(Text(text))
        else:
            self._say(f"--- sample ---\n{text}\n---")

    def _shown(self, figures: Mapping[str, Any]) -> str:
        progress, seconds = figures["progress"], figures["seconds"]
        parts = [f"step {figures['step']}", f"loss {figures['loss']:.3f}"]
        if self.validation is not None:
            parts.append(f"validation {self.validation:.3f}")
        parts.append(f"{quantity(figures['symbols_per_second'])} symbols/s")
        if progress > 0:
            parts.append(f"{duration(seconds * (1 - progress) / progress)} left")
        return "  ".join(parts)

    def _say(self, line: str) -> None:
        self.console.print(Text(line), soft_wrap=True)
