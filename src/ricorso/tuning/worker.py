"""A process that trains trials for a search; the two talk in lines of JSON over the process's standard streams."""

import dataclasses
import json
import subprocess
import sys
from typing import Any

from ricorso.errors import TrainingError
from ricorso.tuning.trial import Job, Reporter, TrialPruned

COMMAND = (sys.executable, "-m", "ricorso.tuning.process")


class WorkerStopped(Exception):
    """The worker was told to stop in the middle of a trial."""


class Worker:
    """A worker as the search sees it. Use it in a `with` block, which ends the process."""

    def __init__(self) -> None:
        self._stopped = False
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def train(self, job: Job, reporter: Reporter) -> list[float]:
        """What `trial.train` does, in the other process.

        Raises WorkerStopped after `stop`, TrialPruned, and TrainingError with the reason when the trial failed.
        """
        process = self._running()
        try:
            self._tell(process, dataclasses.asdict(job))
            for line in process.stdout or ():
                kind, value = next(iter(json.loads(line).items()))
                if kind == "progress":
                    reporter.progress(value)
                elif kind == "report":
                    self._tell(process, {"hopeless": reporter.report(*value)})
                elif kind == "losses":
                    return list(value)
                elif kind == "pruned":
                    raise TrialPruned(value)
                else:
                    raise TrainingError(value)
        except BrokenPipeError:
            # the reason is in how the process ended
            self._end()
        if self._stopped:
            raise WorkerStopped
        raise TrainingError(
            f"The process of the trial ended with status {process.wait()}; it may have run out of memory."
        )

    def stop(self) -> None:
        """End the process now, from another thread."""
        self._stopped = True
        if self._process:
            self._process.kill()

    def _running(self) -> "subprocess.Popen[str]":
        if self._stopped:
            raise WorkerStopped
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for the search, which ends its workers
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    _close(stream)

    @staticmethod
    def _tell(process: "subprocess.Popen[str]", message: Any) -> None:
        if process.stdin is None:
            raise TypeError("A worker has a pipe for its input.")
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()


def _close(stream: Any) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        return  # what was not yet written has no reader any more
