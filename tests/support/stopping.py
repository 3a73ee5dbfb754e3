"""Ctrl-C at a chosen step of a training."""

from typing import Any

from ricorso.training.listener import Listener


class StopAt(Listener):
    """Presses Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, figures: Any) -> None:
        if figures["step"] == self.step:
            raise KeyboardInterrupt
