"""Ending training between two steps when the user or the system asks for it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ricorso.errors import TrainingError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingInterrupted(TrainingError):
    """Training was stopped from outside; `run` is the folder from which it goes on, None where nothing was written.

    command: what goes on from there.
    """

    def __init__(self, message: str, run: Path | None, command: str = "") -> None:
        super().__init__(message)
        self.run, self.command = run, command


class StopRequest:
    """Whether somebody has asked to stop."""

    def __init__(self) -> None:
        self.made = False


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Within the block, Ctrl-C and a termination signal only set the request; a second Ctrl-C breaks off at once.

    Outside the main thread, where Python delivers no signals, the request is never set.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        request.made = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    # a process that was started to ignore a signal, as in the background of a script, goes on ignoring it
    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield request
    finally:
        for number, handler in before.items():
            # a handler that was not installed from Python reads as None
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
