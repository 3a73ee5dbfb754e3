"""What training tells while it runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Listener:
    """Hears how training goes; every method may be overridden, none has to be.

    The methods are called between steps, so a slow one slows training down.
    """

    def on_start(self, info: Mapping[str, Any]) -> None:
        """Training begins: what is trained on what, with which budget."""

    def on_step(self, figures: Mapping[str, Any]) -> None:
        """A step is done: step, epoch, seconds, progress (0 to 1), loss (nats), learning_rate, gradient_norm,
        clip_rate (of the steps since the last line, the share whose gradient was clipped), symbols_per_second,
        skipped (steps so far)."""

    def on_skipped(self, figures: Mapping[str, Any]) -> None:
        """A step was left out because a number was not finite: step, loss, gradient_norm, parameters (names of the
        first whose gradient is not finite), batches (where they are from), skipped (steps so far)."""

    def on_validation(self, figures: Mapping[str, Any]) -> None:
        """The averaged weights were measured: step, validation_loss, best, and what the task adds."""

    def on_sample(self, text: str) -> None:
        """The averaged weights have written something."""

    def on_checkpoint(self, folder: Path) -> None:
        """A checkpoint is complete in this folder."""

    def on_end(self, info: Mapping[str, Any]) -> None:
        """Training has ended: steps, seconds, skipped, best_step, validation_loss."""


class Listeners(Listener):
    """Several listeners as one: each hears everything, in the order given.

    >>> class Loud(Listener):
    ...     def on_sample(self, text: str) -> None:
    ...         print(text.upper())
    >>> Listeners(Listener(), Loud()).on_sample("to be")
    TO BE
    """

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def on_start(self, info: Mapping[str, Any]) -> None:
        for listener in self.listeners:
            listener.on_start(info)

    def on_step(self, figures: Mapping[str, Any]) -> None:
        for listener in self.listeners:
            listener.on_step(figures)

    def on_skipped(self, figures: Mapping[str, Any]) -> None:
        for listener in self.listeners:
            listener.on_skipped(figures)

    def on_validation(self, figures: Mapping[str, Any]) -> None:
        for listener in self.listeners:
            listener.on_validation(figures)

    def on_sample(self, text: str) -> None:
        for listener in self.listeners:
            listener.on_sample(text)

    def on_checkpoint(self, folder: Path) -> None:
        for listener in self.listeners:
            listener.on_checkpoint(folder)

    def on_end(self, info: Mapping[str, Any]) -> None:
        for listener in self.listeners:
            listener.on_end(info)
