import json

import numpy as np
import pytest
import torch

from ricorso import Generator
from ricorso.insight.saliency import saliency
from ricorso.insight.trace import traced

TEXT = "to be or not to be, that is the question\n" * 20


@pytest.fixture(scope="module", params=[{}, {"embedding_size": 6, "tied": True}], ids=["columns", "vectors"])
def model(request):
    options = {"hidden_size": 8, "batch_size": 2, "sequence_length": 16, "sample_length": 5, "threads": 1}
    return Generator(cell="gru", epochs=2, **options, **request.param).fit(TEXT)


def log_probability(model, ids, target, place, change):
    """The log-probability of a symbol when what the symbol at a place brings in is changed."""
    copied, layer = traced(model.model_, last_only=True)
    run = layer.forward

    def shifted(x, hx=None):
        if x.is_floating_point():
            x = x.clone()
            x[place, 0] += change
        else:
            # no symbol of the text comes twice, so that its column is used at this place alone
            layer.layer.weight_ih_l0[:, ids[place]] += change
        return run(x, hx)

    layer.forward = shifted
    scores, _ = copied(torch.from_numpy(ids.astype(np.int64))[:, None])
    return scores[0].log_softmax(-1)[target].item()


def test_gradients_are_those_of_difference_quotients(model):
    ids = model.vocabulary_.encode("to be")
    target = int(model.vocabulary_.encode("o")[0])
    found = saliency(model.model_, model.vocabulary_, ids, target)
    copied, layer = traced(model.model_)
    copied(torch.from_numpy(ids.astype(np.int64))[:, None])
    entry = layer.entry.detach()
    for place in (0, 2, 4):
        slopes = []
        for change in 1e-5 * torch.eye(entry.shape[-1], dtype=torch.float64):
            up, down = (log_probability(model, ids, target, place, sign * change) for sign in (1, -1))
            slopes.append((up - down) / 2e-5)
        expected = torch.tensor(slopes, dtype=torch.float64)
        assert found.norm[place] == pytest.approx(expected.norm().item(), rel=1e-3)
        assert found.share[place] == pytest.approx((expected * entry[place, 0]).sum().item(), rel=1e-3)


def test_the_likeliest_is_explained_unless_another_is_asked_for(model):
    ids = model.vocabulary_.encode("to be")
    found = saliency(model.model_, model.vocabulary_, ids)
    assert (found.next, found.probability) == found.likeliest[0]
    chances = [chance for _, chance in found.likeliest]
    assert chances == sorted(chances, reverse=True)
    other = int(model.vocabulary_.encode("q")[0])
    assert saliency(model.model_, model.vocabulary_, ids, other).next == "q"


def test_its_chances_are_the_models(model):
    ids = model.vocabulary_.encode("that is")
    found = saliency(model.model_, model.vocabulary_, ids)
    with torch.no_grad():
        scores, _ = model.model_(torch.from_numpy(ids.astype(np.int64))[:, None])
    assert found.probability == pytest.approx(scores[-1].softmax(-1).max().item(), rel=1e-4)


def test_as_plain_data(model):
    found = saliency(model.model_, model.vocabulary_, model.vocabulary_.encode("to be"))
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["text"] == "to be"
    assert [symbol["symbol"] for symbol in plain["symbols"]] == list("to be")
