from pathlib import Path

import pytest

from ricorso.errors import RunError
from ricorso.tasks.tag.marked import Marked

WORDS = ["Paul", "<b>", "sees", "Rome", "(", "Italy", ")", "."]
TAGS = ["B-PER", "I-PER", "O", "B-LOC", "O", "B-LOC", "O", "O"]
CHANCES = [0.9, 0.7, 1.0, 0.99, 1.0, 0.99, 1.0, 1.0]


def test_spans_are_marked_in_running_text() -> None:
    section = Marked([WORDS], [TAGS], [CHANCES], spans=True).section()
    assert (
        'class="unsure" style="--kind: var(--c1)" title="PER, 70%">Paul &lt;b&gt;<small>PER</small></mark> sees <mark'
        in (section)
    )
    assert '>Rome<small>LOC</small></mark> (<mark style="--kind: var(--c0)" title="LOC, 99%">Italy' in section
    assert "</mark>).</p>" in section


def test_tags_stand_over_words(tmp_path: Path) -> None:
    marked = Marked([["I", "run"]], [["PRON", "VERB"]], [[1.0, 0.5]], spans=False)
    assert '>I<rt>PRON</rt></ruby> <ruby style="--kind: var(--c1)" title="VERB, 50%">run<rt class="unsure">VERB' in (
        marked.section()
    )
    path = marked.save(tmp_path / "page.html")
    assert marked.section() in path.read_text(encoding="utf-8")
    assert "iframe" in marked._repr_html_()
    with pytest.raises(RunError, match="could not be written"):
        marked.save(tmp_path / "nowhere" / "page.html")
