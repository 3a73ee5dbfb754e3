"""The other side of a worker: `python -m ricorso.tuning.process` trains what comes as lines of JSON on its input."""

import json
import os
import queue
import sys
import threading
import traceback
from typing import Any, TextIO

from ricorso.errors import RicorsoError
from ricorso.tuning.trial import Job, Reporter, TrialPruned, train


class _Lines(Reporter):
    """The search as a worker sees it."""

    def __init__(self, told: "queue.SimpleQueue[Any]", out: TextIO) -> None:
        self._told, self._out = told, out

    def progress(self, share: float) -> None:
        self.say("progress", share)

    def report(self, step: int, loss: float) -> bool:
        self.say("report", [step, loss])
        return bool(self._told.get()["hopeless"])

    def say(self, kind: str, value: Any) -> None:
        self._out.write(json.dumps({kind: value}) + "\n")
        self._out.flush()


def serve(told: "queue.SimpleQueue[Any]", out: TextIO) -> None:
    """Train what is asked for, one job after another, until the process is ended."""
    lines = _Lines(told, out)
    while True:
        job = told.get()
        try:
            lines.say("losses", train(Job(**job), lines))
        except TrialPruned as pruned:
            lines.say("pruned", str(pruned))
        except (RicorsoError, MemoryError) as error:
            lines.say("failed", str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a mistake in a worker ends one trial and is shown in full
            traceback.print_exc()
            lines.say("failed", f"{type(error).__name__}: {error}")


def _listen(told: "queue.SimpleQueue[Any]") -> None:
    for line in sys.stdin:
        told.put(json.loads(line))
    os._exit(1)  # the search is gone: nobody wants the result


def main() -> None:
    """Serve the process that started this one."""
    out, sys.stdout = sys.stdout, sys.stderr  # whatever prints must not come between the lines
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(told,), daemon=True).start()
    serve(told, out)


if __name__ == "__main__":
    main()
