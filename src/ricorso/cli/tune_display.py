"""Showing a search as it runs: one bar over all trials on a terminal, a line for each trial elsewhere."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ricorso.tuning.listener import SearchListener
from ricorso.tuning.result import TrialRow, shown


class TuneDisplay(SearchListener):
    """Shows a search as it runs, on standard error. Use it in a `with` block, which gives the terminal back."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.bar = Progress(
            TextColumn("{task.fields[figures]}"),
            BarColumn(bar_width=None),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            expand=True,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("search", total=1.0, figures="starting")
        self.done = self.trials = 0
        self.shares: dict[int, float] = {}
        self.best: TrialRow | None = None

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def on_start(self, info: Mapping[str, Any]) -> None:
        """Say what is searched and where it is kept."""
        self.done, self.trials, self.best = info["done"], info["trials"], info["best"]
        searched = ", ".join(f"{name} {values}" for name, values in info["space"].items())
        before = f" ({self.done} are done)" if self.done else ""
        team = f"{info['workers']} workers of " if info["workers"] > 1 else ""
        threads = "1 thread" if info["threads"] == 1 else f"{info['threads']} threads"
        self._say(f"{self.trials} trials{before} over {searched}; {team}{threads}. Folder: {info['folder']}")
        for warning in info["warnings"]:
            self._say(warning)
        self.bar.update(self.task, total=self.trials)
        self._move()

    def on_trial(self, number: int, settings: Mapping[str, Any]) -> None:
        """Note that a trial is under way."""
        self.shares[number] = 0.0
        self._move()

    def on_progress(self, number: int, share: float) -> None:
        """Move the bar."""
        self.shares[number] = share
        self._move()

    def on_trial_end(self, row: TrialRow, best: TrialRow | None) -> None:
        """Tell how a trial ended: every one off a terminal, on it only those that are better than all before."""
        self.shares.pop(row.number, None)
        self.done += 1
        better = best is not None and best.number == row.number
        self.best = best
        self._move()
        if better or not self.console.is_terminal:
            settings = "  ".join(f"{name} {shown(value)}" for name, value in row.settings.items())
            outcome = row.state if row.loss is None else f"{row.loss:.4f}"
            mark = "  (best so far)" if better else f"  ({row.note})" if row.note else ""
            self._say(f"trial {row.number}: {outcome}  {settings}{mark}")

    def _move(self) -> None:
        best = f"  best {self.best.loss:.4f} (trial {self.best.number})" if self.best else ""
        figures = f"{self.done}/{self.trials} trials{best}"
        self.bar.update(self.task, completed=self.done + sum(self.shares.values()), figures=figures)

    def _say(self, line: str) -> None:
        self.console.print(Text(line), soft_wrap=True)
