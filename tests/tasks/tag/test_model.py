import numpy as np
import pytest
import torch
from small_tagging import SMALL, sentences

from ricorso.cells import get_cell
from ricorso.tasks.tag.config import TagConfig
from ricorso.tasks.tag.data import Batches, Labelled, TagData, encoded, read
from ricorso.tasks.tag.inputs import WordBatch, WordInputs
from ricorso.tasks.tag.model import LockedDropout, TagModel
from ricorso.tasks.tag.tagset import TagSet
from ricorso.tasks.tag.work import TagWork


def parts(crf: bool) -> tuple[TagModel, Batches, TagWork]:
    config = TagConfig.of(SMALL | {"crf": crf, "word_dropout": 0.1, "rare_dropout": 0.4})
    data = read([*sentences(20), (["Once"], ["O"])], config)
    tags, inputs = TagSet.of(data.tags, "IOB2", "BIOES"), WordInputs.of(data.sequences, 1)
    allowed = tags.allowed()
    assert allowed is not None
    model = TagModel(
        get_cell("gru"), inputs, len(tags.classes), torch.from_numpy(allowed) if crf else None, (0, 0), config
    )
    return model, encoded(data, inputs, tags), TagWork(model, TagData(data, None), inputs, tags, config)


@pytest.mark.parametrize("crf", [True, False])
def test_losses_and_gradients_of_a_batch_are_those_of_its_sentences(crf: bool) -> None:
    model, batches, _ = parts(crf)
    model.eval()

    def gradients(*chosen: list[int]) -> list[torch.Tensor]:
        model.zero_grad()
        for numbers in chosen:
            batch = batches.at(np.array(numbers))
            model.losses(model(batch), batch).sum().backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    together, alone = gradients([0, 1, 2, 20]), gradients([0], [1], [2], [20])
    assert len(together) == len(alone) > 8
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_each_distinct_word_is_spelt_once() -> None:
    inputs = WordInputs.of([("to", "be"), ("To",)], 1)
    batch = inputs.encode([("to", "be", "or"), ("To", "to")]).batch(np.array([1, 0]))
    assert batch.words.tolist() == [[1, 1], [1, 2], [1, 0]]  # behind the end stands the first word
    assert batch.counts.tolist() == [2, 2, 2, 2]
    assert batch.letters.shape == (2, 4)
    spelt = [tuple(batch.letters[:, n].tolist()) for n in range(4)]
    assert len(set(spelt)) == 4
    assert batch.forms.tolist()[0][1] == batch.forms.tolist()[1][0]


def test_words_are_read_as_unknown_in_training_only() -> None:
    model, _batches, work = parts(False)
    assert model.vectors is not None
    rates = model.vectors.unknown
    assert rates is not None
    counts = np.bincount(work._train.steps.words)  # type: ignore[union-attr]
    assert sorted(set(rates[counts == 1].tolist())) == pytest.approx([0.4])
    assert sorted(set(rates[counts > 1].tolist())) == pytest.approx([0.1])
    words = torch.arange(3)[:, None].repeat(1, 2000)
    batch = WordBatch(
        words, torch.zeros_like(words), torch.ones(1, 1, dtype=torch.long), torch.ones(1, dtype=torch.long), None
    )
    model.vectors.unknown = torch.tensor([0.0, 0.25, 1.0])
    width = model.vectors.embedding.embedding_dim
    table = model.vectors.embedding.weight

    def replaced(row: int) -> float:
        assert model.vectors is not None
        return float((model.vectors(batch)[row, :, :width] == table[0]).all(-1).float().mean())

    model.train()
    assert replaced(2) == 1.0
    assert replaced(1) == pytest.approx(0.25, abs=0.05)
    model.eval()
    assert (replaced(1), replaced(2)) == (0.0, 0.0)


def test_dropout_is_the_same_at_all_steps() -> None:
    torch.manual_seed(0)
    layer = LockedDropout(0.25)
    found = layer(torch.ones(5, 40, 100))
    assert bool((found == found[0]).all())
    assert float(found.mean()) == pytest.approx(1.0, abs=0.02)
    assert sorted(set(found.flatten().tolist())) == pytest.approx([0.0, 4 / 3])
    layer.eval()
    assert bool((layer(torch.ones(2, 2, 2)) == 1).all())


def test_a_batch_follows_from_its_place() -> None:
    _, _, work = parts(False)
    first, again = work.batch(1, 2, slice(None)), work.batch(1, 2, slice(None))
    assert bool((first.lengths == again.lengths).all())
    assert "batch 2 of epoch 1: sequences" in work.place(1, 2)
    assert isinstance(first.steps, WordBatch)
    half = work.batch(1, 2, slice(4, 8))
    assert half.lengths.tolist() == first.lengths.tolist()[4:8]


def test_long_sequences_are_few_in_a_batch() -> None:
    inputs = WordInputs.of([("a",)], 1)
    batches = Batches(inputs.encode([("a",) * length for length in (9000, 3, 4000, 100, 100)]))
    seen = [(chosen.tolist(), batch.lengths.tolist()) for chosen, batch in batches.all()]
    assert seen == [([1, 3, 4], [3, 100, 100]), ([2], [4000]), ([0], [9000])]


def test_data_are_recognised_again() -> None:
    one = Labelled([("a", "b")], [("X", "Y")])
    others = [
        Labelled([("a b",)], [("X",)]),
        Labelled([("a", "b")], [("X", "X")]),
        Labelled([("a", "c")], [("X", "Y")]),
    ]
    marks = {found.fingerprint()["sha256"] for found in (one, *others)}
    assert len(marks) == 4
    assert one.fingerprint() == Labelled([("a", "b")], [("X", "Y")]).fingerprint()
