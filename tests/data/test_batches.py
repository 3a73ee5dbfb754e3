import numpy as np
import pytest

from ricorso.data.batches import Streams
from ricorso.errors import DataError


def test_targets_are_the_next_symbols_and_rows_go_on() -> None:
    streams = Streams(np.arange(1000), batch_size=4, sequence_length=10, seed=3)
    last = streams.batch(0, 0)[0][0]
    for step in range(streams.steps_per_epoch):
        inputs, targets = streams.batch(0, step)
        assert inputs.shape == targets.shape == (10, 4)
        assert inputs.dtype == targets.dtype == np.int64
        np.testing.assert_array_equal((inputs + 1) % 1000, targets)
        np.testing.assert_array_equal(inputs[0], last)
        last = targets[-1]


def test_an_epoch_reads_each_symbol_at_most_once_and_nearly_all() -> None:
    streams = Streams(np.arange(1003), batch_size=4, sequence_length=10, seed=0)
    seen = np.concatenate([streams.batch(5, step)[0].ravel() for step in range(streams.steps_per_epoch)])
    assert len(set(seen.tolist())) == len(seen) == 1000


def test_a_batch_depends_on_seed_epoch_and_step_alone() -> None:
    ids = np.random.default_rng(0).integers(0, 9, 500)
    first, second = (Streams(ids, batch_size=3, sequence_length=7, seed=1) for _ in range(2))
    second.batch(0, 0)
    np.testing.assert_array_equal(first.batch(4, 2)[0], second.batch(4, 2)[0])
    numbered = Streams(np.arange(500), batch_size=3, sequence_length=7, seed=1)
    other = Streams(np.arange(500), batch_size=3, sequence_length=7, seed=2)
    starts = {int(numbered.batch(epoch, 0)[0][0, 0]) for epoch in range(20)}
    assert len(starts) > 15
    assert [int(other.batch(e, 0)[0][0, 0]) for e in range(5)] != [int(numbered.batch(e, 0)[0][0, 0]) for e in range(5)]


@pytest.mark.parametrize(("symbols", "batch", "steps"), [(11, 1, 1), (29, 2, 1), (41, 4, 1), (45, 4, 1), (90, 4, 2)])
def test_a_short_text_gets_fewer_streams(symbols: int, batch: int, steps: int) -> None:
    streams = Streams(np.arange(symbols), batch_size=4, sequence_length=10, seed=0)
    assert (streams.batch_size, streams.steps_per_epoch) == (batch, steps)
    for epoch in range(30):
        inputs, targets = streams.batch(epoch, steps - 1)
        np.testing.assert_array_equal((inputs + 1) % symbols, targets)


def test_too_short_a_text_is_refused() -> None:
    with pytest.raises(DataError, match="10 symbols, but sequence_length=10 needs at least 11"):
        Streams(np.arange(10), batch_size=1, sequence_length=10, seed=0)
