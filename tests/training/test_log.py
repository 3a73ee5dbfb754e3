import json
import math
from pathlib import Path

from ricorso.training.log import Log, read_log


def test_lines_are_kept_in_memory_and_in_the_file(tmp_path: Path) -> None:
    log = Log(tmp_path / "metrics.jsonl")
    log.add("step", {"step": 1, "loss": math.nan})
    log.add("sample", {"step": 1, "text": "诗\n"})
    assert log.lines == [{"kind": "step", "step": 1, "loss": None}, {"kind": "sample", "step": 1, "text": "诗\n"}]
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == log.lines


def test_going_back_drops_later_lines_ends_and_half_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = Log(path)
    for step in (1, 2, 3):
        log.add("step", {"step": step})
    log.add("end", {"step": 2})
    with path.open("a") as file:
        file.write('{"kind": "step", "st')
    again = Log(path)
    again.go_back(2)
    assert [line["step"] for line in again.lines] == [1, 2]
    assert read_log(path) == again.lines
