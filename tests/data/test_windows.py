"""Windows over many series."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ricorso.data import windows
from ricorso.data.series import Series, read_series
from ricorso.data.windows import Windows
from ricorso.errors import DataError, UsageError


def series(*values, targets=1, known=0, past=0, ahead=0, name="a"):
    """A series whose first target is `values`, and whose covariates tell their step."""
    steps = np.arange(len(values) + ahead, dtype=np.float32)[:, None]
    table = np.array(values, float)[:, None] + 1000 * np.arange(targets)
    return Series(name, 0, table, steps * np.ones(known, np.float32), steps[: len(values)] * -np.ones(past, np.float32))


def counting(count, **options):
    return series(*map(float, range(count)), **options)


def parts_of_one_array(many: list[Series]) -> list[Series]:
    """The same series as views, with rows between them that belong to none."""
    found = []
    for part in ("values", "known", "past"):
        arrays = [getattr(one, part) for one in many]
        apart = np.full((1, arrays[0].shape[1]), 99.0, arrays[0].dtype)
        whole = np.concatenate([piece for array in arrays for piece in (array, apart)])
        ends = np.cumsum([len(array) + 1 for array in arrays]) - 1
        found.append([whole[end - len(array) : end] for end, array in zip(ends, arrays, strict=True)])
    return [Series(one.name, 0, *parts) for one, *parts in zip(many, *found, strict=True)]


def plain(made: Windows, one: Series, origin: int, part: str) -> np.ndarray:
    """A window by a loop over its steps."""
    array = getattr(one, part)
    end = origin + (0 if part == "past" else made.horizon)
    rows = [
        array[t] if 0 <= t < len(array) else np.full(array.shape[1], np.nan) for t in range(origin - made.context, end)
    ]
    return np.array(rows, np.float32).reshape(len(rows), array.shape[1])


def admissible(made: Windows, least: int) -> list[tuple[int, int]]:
    """Every window by a loop: (series, origin)."""
    found = []
    for number, one in enumerate(made.source):
        origins = range(len(one) - made.horizon, least - 1, -made.step)
        for origin in reversed(origins):
            seen = ~np.isnan(one.values).all(axis=1)
            if seen[max(origin - made.context, 0) : origin].any() and seen[origin : origin + made.horizon].any():
                found.append((number, origin))
    return found


def of(batch):
    return list(zip(batch.series.tolist(), batch.origin.tolist(), strict=True))


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_windows_are_those_of_a_loop(data):
    number = st.one_of(st.integers(0, 9).map(float), st.just(np.nan))
    shape = {
        "targets": data.draw(st.integers(1, 2)),
        "known": data.draw(st.integers(0, 2)),
        "past": data.draw(st.integers(0, 1)),
    }
    lists = data.draw(st.lists(st.lists(number, max_size=12), min_size=1, max_size=4))
    lists.append([1.0] * 20)
    many = [series(*one, **shape, ahead=data.draw(st.integers(0, 3))) for one in lists]
    if data.draw(st.booleans()):
        many = parts_of_one_array(many)
    context, horizon = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    least = data.draw(st.integers(1, context))
    made = Windows(many, context, horizon, 3, 0, minimum_context=least, step=data.draw(st.integers(1, 3)))
    written = data.draw(st.sampled_from([1 << 20, 0]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "_MOST_WRITTEN", written)
        patch.setattr(windows, "_WORKED_OUT", 7)
        batches = [made.batch(0, i) for i in range(made.batches_per_epoch)]
    want = admissible(made, least)
    assert made.count == len(want)
    drawn = [place for batch in batches for place in of(batch)]
    assert Counter(drawn[: len(want)]) == Counter(want)
    assert drawn[len(want) :] == drawn[: len(drawn) - len(want)]
    for batch in batches:
        for i, (number, origin) in enumerate(of(batch)):
            for part, found in (("values", batch.values), ("known", batch.known), ("past", batch.past)):
                np.testing.assert_array_equal(found[:, i], plain(made, many[number], origin, part))
        np.testing.assert_array_equal(batch.observed, ~np.isnan(batch.values))
        np.testing.assert_array_equal(batch.begin, batch.origin - context)


def test_a_batch_depends_on_its_place_alone():
    many = [counting(30), counting(50)]
    for options in ({}, {"per_epoch": 20}, {"per_epoch": 20, "evenly": True}):
        one, other = (Windows(many, 4, 2, 8, seed=5, **options) for _ in range(2))
        first = of(one.batch(3, 1))
        other.batch(0, 0)
        assert of(other.batch(3, 1)) == first
        assert of(other.batch(4, 1)) != first
        assert of(other.batch(3, 0)) != first
        assert of(Windows(many, 4, 2, 8, seed=6, **options).batch(3, 1)) != first
        assert of(one.batch(3, 1, slice(2, 5))) == first[2:5]
        assert one.batches_per_epoch == (3 if options else 10)


def test_an_order_that_is_not_written_down_depends_on_the_place_of_a_batch_alone(monkeypatch):
    monkeypatch.setattr(windows, "_MOST_WRITTEN", 0)
    for together in (1, 20, 1 << 15):
        monkeypatch.setattr(windows, "_WORKED_OUT", together)
        made = Windows([counting(200)], 4, 2, 8, seed=5)
        first = of(made.batch(3, 1))
        assert of(made.batch(4, 1)) != first
        assert of(Windows([counting(200)], 4, 2, 8, seed=6).batch(3, 1)) != first
        assert of(made.batch(3, 1)) == first
        assert of(made.batch(3, 1, slice(2, 5))) == first[2:5]
        assert len(made._kept_order) == 1
        # how many are worked out together does not matter
        monkeypatch.setattr(windows, "_WORKED_OUT", 3)
        assert of(Windows([counting(200)], 4, 2, 8, seed=5).batch(3, 1)) == first


def test_windows_of_series_that_were_read_copy_no_values():
    found = read_series({"id": ["a"] * 15 + ["b"] * 16, "y": [float(i) for i in range(31)]})
    made = Windows(found, 3, 1, 4, seed=0)
    assert np.shares_memory(made._values._rows, found["a"].values)
    assert np.shares_memory(made._values._rows, found["b"].values)


def test_draws_go_by_the_number_of_windows_or_evenly():
    many = [counting(8, name="short"), counting(2, name="none"), counting(500, name="long")]
    for evenly, share in ((False, 4 / (4 + 496)), (True, 0.5)):
        made = Windows(many, 3, 2, 100, seed=0, per_epoch=400, evenly=evenly, minimum_context=3)
        drawn = [place for i in range(20) for place in of(made.batch(0, i))]
        counts = Counter(number for number, _ in drawn)
        assert len({origin for number, origin in drawn if number == 2}) > 300
        assert {origin for number, origin in drawn if number == 0} == {3, 4, 5, 6}
        assert set(counts) == {0, 2}
        assert counts[0] / 2000 == pytest.approx(share, abs=0.05)
    assert Windows(many, 3, 2, 100, seed=0, evenly=True, minimum_context=3).batches_per_epoch == 5


def test_the_last_batch_is_filled_and_no_batch_is_larger_than_the_windows():
    made = Windows([counting(12)], 4, 2, 5, seed=0, minimum_context=4)
    assert (made.count, made.examples, made.batches_per_epoch) == (7, 5, 2)
    assert made.batch(0, 1).values.shape == (6, 5, 1)
    few = Windows([counting(12)], 4, 2, 50, seed=0, minimum_context=4)
    assert (few.examples, few.batches_per_epoch) == (7, 1)


def test_evaluation_windows_lie_at_the_end():
    many = [counting(10), counting(4), counting(7)]
    made = Windows(many, 4, 2, 1, seed=0, minimum_context=3)
    assert [part.tolist() for part in made.last()] == [[0, 2], [8, 5]]
    assert [part.tolist() for part in made.last(ahead=True)] == [[0, 1, 2], [10, 4, 7]]
    assert [part.tolist() for part in made.rolling(2)] == [[0, 0, 2, 2], [6, 8, 3, 5]]
    assert [part.tolist() for part in made.rolling(3, stride=1)] == [[0, 0, 0, 2, 2, 2], [6, 7, 8, 3, 4, 5]]
    with pytest.raises(UsageError, match="1 or more, got 0, 2"):
        made.rolling(0)


def test_the_future_has_covariates_but_no_values():
    made = Windows([counting(6, known=1, past=1, ahead=3)], 3, 2, 1, seed=0)
    batch = made.at(*made.last(ahead=True))
    np.testing.assert_array_equal(batch.values[:, 0, 0], [3, 4, 5, np.nan, np.nan])
    assert batch.observed[:, 0, 0].tolist() == [True] * 3 + [False] * 2
    assert batch.known[:, 0, 0].tolist() == [3, 4, 5, 6, 7]
    assert batch.past[:, 0, 0].tolist() == [-3, -4, -5]


def test_a_place_is_told_in_words():
    made = Windows([counting(30, name="H1")], 4, 2, 5, seed=0)
    words = made.place(1, 0)
    assert words.startswith("windows of 'H1' from step ")
    assert words.endswith(", ...")
    assert f"from step {made.batch(1, 0).origin[0]}," in words


def test_series_that_were_read_have_windows():
    found = read_series({"id": ["a"] * 5 + ["b"] * 6, "y": list(range(11))})
    made = Windows(found, 3, 1, 4, seed=0, minimum_context=3)
    assert made.count == 2 + 3
    assert made.at([1], [5]).values[:, 0, 0].tolist() == [7, 8, 9, 10]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon must be 1 or more, got 0"),
        ({"step": -1}, "step must be 1 or more"),
        ({"minimum_context": 5}, "minimum_context=5 is more than context=4"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        Windows([counting(20)], **{"context": 4, "horizon": 2, "batch_size": 1, "seed": 0, **options})


@pytest.mark.parametrize("many", [[counting(5)], [series(*[np.nan] * 9, 1.0)], []])
def test_series_without_a_window_are_an_error(many):
    with pytest.raises(DataError, match="No series is long enough: the longest has"):
        Windows(many, 4, 3, 1, seed=0)
