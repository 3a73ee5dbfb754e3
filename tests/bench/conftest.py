"""Answers that nobody measured, so that what is made of them can be checked to the digit."""

import pytest

from ricorso.bench.plan import Plan, Report
from ricorso.bench.question import Answer
from ricorso.bench.timing import Timing

ABOUT = {
    "machine": {"processor": "some <processor>", "architecture": "x86_64", "system": "Linux", "threads": 2},
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
}


def seconds(median):
    return Timing(median, 0.9 * median, 1.1 * median, 7)


def answer(section, cell, hidden, batch, /, path="llvm: kernels", share=0.5, **medians):
    times = {name: seconds(median) for name, median in medians.items()}
    return Answer(section, cell, hidden, batch, 100, path, share, dict.fromkeys(list(medians)[1:], 1e-6), times)


@pytest.fixture
def report():
    answers = [
        answer("training", "lstm", 128, 1, ricorso=1.0e-3, torch=1.0e-3),
        answer("training", "lstm", 128, 8, ricorso=2.0e-3, torch=8.0e-3),
        answer("training", "gru", 128, 1, ricorso=2.0e-3, torch=1.0e-3, path="torch: torch's own kernel"),
        answer("training", "lem", 128, 1, ricorso=1.0e-3, loop=40.0e-3),
        answer("inference", "lstm", 128, 8, ricorso=5.0e-5, torch=1.0e-4, onnxruntime=2.5e-5),
        answer("step", "lstm", 128, 1, share=None, ricorso=4.0e-6, torch=4.0e-5, onnxruntime=8.0e-6),
        Answer("step", "gru", 128, 1, 1, differences={"torch": 0.25}, refusal="results differ by 2.5e-01 from torch"),
    ]
    return Report(Plan(hidden=(128,), batches=(1, 8)), 2.0e11, answers, ABOUT)
