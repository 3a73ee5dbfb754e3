"""Where the time of a training goes."""

import time

PHASES = ("data", "forward", "backward", "update", "rest")


class Phases:
    """Seconds spent in each of `PHASES`; whoever finishes one says so.

    >>> phases = Phases()
    >>> phases.done("data")
    >>> list(phases.shares()) == list(PHASES)
    True
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._last = time.perf_counter()

    def done(self, phase: str) -> None:
        """Count the time since the last call for a phase."""
        now = time.perf_counter()
        self.seconds[phase] += now - self._last
        self._last = now

    def shares(self) -> dict[str, float]:
        """The share of each phase in all of the time so far."""
        whole = sum(self.seconds.values()) or 1.0
        return {name: round(seconds / whole, 4) for name, seconds in self.seconds.items()}
