from itertools import pairwise, product

import pytest

from ricorso.data.spans import (
    SCHEMES,
    Scheme,
    Span,
    allowed,
    check,
    convert,
    first_wrong,
    kinds_in,
    marks,
    scheme_of,
    spans_of,
    tags_of,
)
from ricorso.errors import DataError, UsageError

SPANS = [Span(0, 2, "PER"), Span(2, 3, "PER"), Span(3, 4, "LOC"), Span(5, 8, "LOC")]
IN = {
    "IOB1": ["I-PER", "I-PER", "B-PER", "I-LOC", "O", "I-LOC", "I-LOC", "I-LOC", "O"],
    "IOB2": ["B-PER", "I-PER", "B-PER", "B-LOC", "O", "B-LOC", "I-LOC", "I-LOC", "O"],
    "BIOES": ["B-PER", "E-PER", "S-PER", "S-LOC", "O", "B-LOC", "I-LOC", "E-LOC", "O"],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_spans_and_tags_are_each_other(scheme: Scheme) -> None:
    assert tags_of(SPANS, 9, scheme) == IN[scheme]
    assert spans_of(IN[scheme]) == SPANS
    assert first_wrong(IN[scheme], scheme) is None
    assert scheme_of([["O"], IN[scheme]]) == scheme
    for other in SCHEMES:
        assert convert(IN[scheme], other) == IN[other]


def every_division(length: int, kinds: str = "XY") -> list[list[Span]]:
    """All ways to mark spans in so many words."""
    found = [[]] if length == 0 else []
    if length:
        found = [[Span(s.start + 1, s.end + 1, s.kind) for s in rest] for rest in every_division(length - 1, kinds)]
        for end, kind in product(range(1, length + 1), kinds):
            rests = every_division(length - end, kinds)
            found += [[Span(0, end, kind), *(Span(s.start + end, s.end + end, s.kind) for s in rest)] for rest in rests]
    return found


@pytest.mark.parametrize("scheme", SCHEMES)
def test_exactly_the_divisions_of_four_words_are_valid(scheme: Scheme) -> None:
    tags = marks(["X", "Y"], scheme)
    valid = [list(own) for own in product(tags, repeat=4) if first_wrong(own, scheme) is None]
    assert sorted(valid) == sorted(tags_of(spans, 4, scheme) for spans in every_division(4))
    assert all(tags_of(spans_of(own), 4, scheme) == own for own in valid)


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES"])
def test_allowed_pairs_are_those_of_valid_sequences(scheme: Scheme) -> None:
    tags = marks(["X", "Y"], scheme)
    table = allowed(tags, scheme)
    for own in product(range(len(tags)), repeat=3):
        steps = [len(tags), *own, len(tags)]
        follows = all(table[a, b] for a, b in pairwise(steps))
        assert follows == (first_wrong([tags[n] for n in own], scheme) is None)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        # what the script conlleval makes of sequences that no scheme allows
        (["O", "I-X", "I-X"], [Span(1, 3, "X")]),
        (["B-X", "I-Y", "I-Y"], [Span(0, 1, "X"), Span(1, 3, "Y")]),
        (["B-X", "O", "E-X"], [Span(0, 1, "X"), Span(2, 3, "X")]),
        (["B-X", "S-X", "I-X"], [Span(0, 1, "X"), Span(1, 2, "X"), Span(2, 3, "X")]),
        (["E-X", "E-X", "I-X"], [Span(0, 1, "X"), Span(1, 2, "X"), Span(2, 3, "X")]),
        (["I-X", "E-X", "B-X"], [Span(0, 2, "X"), Span(2, 3, "X")]),
        (["NOUN", "B-X", "VERB"], [Span(1, 2, "X")]),
        ([], []),
    ],
)
def test_invalid_sequences_are_read_as_conlleval_does(tags: list[str], spans: list[Span]) -> None:
    assert spans_of(tags) == spans


def test_the_scheme_is_found_by_what_is_usual() -> None:
    assert scheme_of([["I-X", "O"], ["I-X", "B-X"], ["B-X", "O"], ["O", "I-Y"]]) == "IOB1"
    assert scheme_of([["B-X", "O"], ["B-X", "B-X"], ["I-X", "O"], ["O", "B-Y"]]) == "IOB2"
    assert scheme_of([["O", "O"]]) is None
    assert scheme_of([["B-X", "NOUN"]]) is None
    assert scheme_of([["S-X"], ["NOUN"]]) is None


def test_invalid_sequences_are_told() -> None:
    check(["I-X"], "IOB1", "sentence 3")
    with pytest.raises(DataError, match="sentence 3, word 2: 'I-Y' cannot stand after 'B-X' in IOB2"):
        check(["B-X", "I-Y"], "IOB2", "sentence 3")
    with pytest.raises(DataError, match="word 1: 'I-X' cannot stand at the start in IOB2"):
        check(["I-X"], "IOB2", "sentence 3")
    with pytest.raises(DataError, match="word 2: the end cannot stand after 'I-X' in BIOES"):
        check(["B-X", "I-X"], "BIOES", "sentence 3")
    with pytest.raises(DataError, match="'NOUN' cannot stand after 'O'"):
        check(["O", "NOUN"], "IOB2", "sentence 3")


def test_spans_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="overlaps"):
        tags_of([Span(0, 2, "X"), Span(1, 3, "X")], 4, "IOB2")
    with pytest.raises(UsageError, match="does not fit 2 words"):
        tags_of([Span(1, 3, "X")], 2, "IOB2")


def test_kinds() -> None:
    assert kinds_in([["B-b", "I-a"], ["O", "S-c-d"]]) == ["a", "b", "c-d"]
