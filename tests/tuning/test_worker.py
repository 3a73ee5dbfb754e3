import json
import subprocess
import sys

import pytest
from small_search import TINY

from ricorso.errors import TrainingError
from ricorso.tuning import worker as workers
from ricorso.tuning.trial import Job, Reporter
from ricorso.tuning.worker import COMMAND, Worker, WorkerStopped

JOB = Job(task="generate", settings=TINY, parts=(("fox.txt", None, {}),), folder=None)


class Silent(Reporter):
    def progress(self, share):
        raise AssertionError("nothing trains here")

    def report(self, step, loss):
        raise AssertionError("nothing trains here")


def test_a_worker_ends_in_the_middle_of_a_trial_when_the_search_is_gone(text_file):
    job = {"task": "generate", "settings": {**TINY, "epochs": 1_000_000}, "parts": [[str(text_file), None, {}]]}
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(json.dumps({**job, "folder": None}) + "\n")
        process.stdin.flush()
        assert "progress" in json.loads(process.stdout.readline())
        process.stdin.close()
        try:
            assert process.wait(timeout=30) == 1
        finally:
            process.kill()


def test_a_process_that_dies_fails_its_trial(monkeypatch):
    script = "import sys; sys.stdin.readline(); sys.exit(3)"
    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-c", script))
    with Worker() as worker, pytest.raises(TrainingError, match="ended with status 3"):
        worker.train(JOB, Silent())


def test_a_failed_trial_tells_its_reason_and_the_next_is_taken(monkeypatch):
    told = ['{"failed": "why"}', '{"losses": [1.5]}']
    script = f"import sys\nfor line in {told}: sys.stdin.readline(); print(line, flush=True)"
    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-c", script))
    with Worker() as worker:
        with pytest.raises(TrainingError, match="why"):
            worker.train(JOB, Silent())
        assert worker.train(JOB, Silent()) == [1.5]


def test_a_stopped_worker_takes_nothing_more():
    with Worker() as worker:
        worker.stop()
        with pytest.raises(WorkerStopped):
            worker.train(JOB, Silent())
