"""Batches of similar length."""

import numpy as np
import pytest

from ricorso.data.lengthwise import Lengthwise, even_groups, within


def test_an_epoch_is_every_sequence_and_each_batch_a_pure_function() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 103)
    batches = Lengthwise(lengths, batch_size=10, seed=3)
    epoch = np.concatenate([batches.batch(2, n) for n in range(batches.batches_per_epoch)])
    assert batches.batches_per_epoch == 11
    assert len(epoch) == 110
    assert set(epoch.tolist()) == set(range(103))
    again = Lengthwise(lengths, batch_size=10, seed=3)
    np.testing.assert_array_equal(again.batch(2, 7), batches.batch(2, 7))
    assert not np.array_equal(batches.batch(2, 7), batches.batch(3, 7))
    assert not np.array_equal(batches.batch(2, 7), Lengthwise(lengths, 10, seed=4).batch(2, 7))


def test_neighbours_are_of_similar_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 1000, 2000)
    batches = Lengthwise(lengths, batch_size=20, seed=0)
    padded = sum(lengths[batches.batch(0, n)].max() * 20 for n in range(batches.batches_per_epoch))
    assert lengths.sum() / padded > 0.65, "in random order about half would be padding"


@pytest.mark.parametrize("count", [1, 3])
def test_fewer_sequences_than_a_batch_holds(count: int) -> None:
    batches = Lengthwise(np.arange(1, count + 1), batch_size=8, seed=0)
    assert (batches.examples, batches.batches_per_epoch) == (count, 1)
    assert sorted(batches.batch(0, 0).tolist()) == list(range(count))


def test_a_batch_is_split_only_where_it_would_be_nearly_all_padding() -> None:
    usual = np.random.default_rng(0).integers(100, 2000, 32)
    assert [own.tolist() for own in even_groups(usual)] == [list(range(32))]
    lengths = np.array([8, 1_000_000, 9, 300, 1100, 10])
    groups = even_groups(lengths)
    assert sorted(np.concatenate(groups).tolist()) == [0, 1, 2, 3, 4, 5]
    assert all(lengths[own].max() <= 4 * lengths[own].min() for own in groups)


def test_sequences_side_by_side_stay_within_the_steps() -> None:
    lengths = np.random.default_rng(0).integers(1, 300, 1000)
    lengths[7] = 5000
    found = list(within(lengths, 2000, most=64))
    assert sorted(np.concatenate(found).tolist()) == list(range(1000))
    assert max(len(own) for own in found) == 64
    assert all(lengths[own].max() * len(own) <= 2000 for own in found[:-1])
    assert found[-1].tolist() == [7]
    assert len(found) < 1.3 * max(len(lengths) / 64, lengths.sum() / 2000)
