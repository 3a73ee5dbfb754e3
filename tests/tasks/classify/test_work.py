"""Batches of examples, whatever their lengths."""

import torch
from small_labelled import SMALL, reviews
from torch.nn.functional import cross_entropy

from ricorso.data.examples import read_examples
from ricorso.tasks.classify.data import ClassifyData, encoded
from ricorso.tasks.classify.task import Classifier
from ricorso.tasks.classify.work import ClassifyWork, scores_of


def test_one_long_text_among_short_ones_is_no_padding_for_them() -> None:
    """Read in groups, a batch of texts has the scores that it has side by side, in the same order."""
    texts, labels = reviews(20)
    fitted = Classifier(**SMALL | {"epochs": 1}).fit(texts, labels)
    texts[7] = "the film was dull " * 5000
    data = encoded(read_examples(texts, labels), fitted.coding_)
    work = ClassifyWork(fitted.model_, ClassifyData(data, None), fitted.config_.model_copy(update={"batch_size": 20}))
    batch = work.batch(0, 0, slice(None))
    sizes: list[tuple[int, ...]] = []
    watch = fitted.model_.register_forward_pre_hook(lambda _, given: sizes.append(tuple(given[0].shape)))
    loss, _ = work.loss(batch, None)
    alone = scores_of(fitted.model_, data)
    watch.remove()
    assert [size[1] for size in sizes if size[0] == 20_000] == [1, 1]
    assert sum(size[0] * size[1] for size in sizes) < 42_000
    with torch.no_grad():
        whole = fitted.model_(batch.steps, batch.lengths, batch.counted)
    torch.testing.assert_close(loss, cross_entropy(whole, batch.targets.argmax(1)))
    order = work._order.batch(0, 0)
    torch.testing.assert_close(alone[torch.from_numpy(order)], whole)
