import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ricorso.cells import get_cell
from ricorso.tasks.generate.config import GenerateConfig
from ricorso.tasks.generate.model import TextModel, Writer, total_loss, total_loss_of_stream

SYMBOLS = 11


def model(cell: str = "lstm", layers: int = 1, embedding: int | None = None, **options: Any) -> TextModel:
    torch.manual_seed(1)
    usual = {"hidden_size": 16, "num_layers": layers, "embedding_size": embedding, "dropout": 0.0}
    config = GenerateConfig.of(usual | options).resolved()
    return TextModel(get_cell(cell), SYMBOLS, config).eval()


def ids(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, SYMBOLS, count).astype(np.int32)


def log_chances(made: TextModel, sequence: np.ndarray) -> Tensor:
    """Log-probabilities after each symbol of one sequence from a zero state, (time, symbols)."""
    with torch.no_grad():
        return made(torch.from_numpy(sequence.astype(np.int64))[:, None])[0].log_softmax(1)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman_tanh", "carry"])
@pytest.mark.parametrize(
    ("layers", "embedding", "tied"), [(1, None, False), (2, None, False), (2, 5, False), (1, 5, True), (1, 16, True)]
)
def test_the_writer_gives_the_scores_of_the_model(cell: str, layers: int, embedding: int | None, tied: bool) -> None:
    made = model(cell, layers, embedding, tied=tied)
    assert (made.project is not None) == (tied and embedding == 5)
    sequence = ids(30)
    writer = Writer(made)
    streamed = np.stack([writer.step(int(symbol)).copy() for symbol in sequence])
    with torch.no_grad():
        expected = made(torch.from_numpy(sequence.astype(np.int64))[:, None])[0].numpy()
    np.testing.assert_allclose(streamed, expected, atol=2e-5)


def test_forbidden_symbols_have_no_chance_and_the_model_is_untouched() -> None:
    made = model()
    assert Writer(made, [3]).step(0)[3] == -np.inf
    assert torch.isfinite(made.head.bias).all()


@pytest.mark.parametrize("count", [2, 5, 17, 21, 16 * 70 + 4])
def test_windows_start_afresh_and_count_each_target_once(count: int) -> None:
    made, text = model(), ids(count)
    expected = 0.0
    for start in range(0, count - 1, 16):
        window = text[start : start + 17]
        chances = log_chances(made, window[:-1])
        expected -= float(chances[torch.arange(len(window) - 1), torch.from_numpy(window[1:].astype(np.int64))].sum())
    total, targets = total_loss(made, text, window=16)
    assert targets == count - 1
    assert total == pytest.approx(expected, rel=1e-5)


def test_one_stream_carries_its_state_over_pieces() -> None:
    made, text = model(), ids(90)
    chances = log_chances(made, text[:-1])
    expected = -float(chances[torch.arange(89), torch.from_numpy(text[1:].astype(np.int64))].sum())
    total, targets = total_loss_of_stream(made, text, piece=25)
    assert targets == 89
    assert total == pytest.approx(expected, rel=1e-5)
    assert total_loss(made, text, window=16)[0] != pytest.approx(expected, rel=1e-5)


def test_a_limit_measures_evenly_spaced_whole_windows() -> None:
    made = model()
    text = np.repeat(np.arange(10, dtype=np.int32), 16)
    whole = [total_loss(made, text[start : start + 17], 16)[0] for start in (0, 64, 128)]
    total, targets = total_loss(made, text, window=16, limit=48)
    assert targets == 48
    assert total == pytest.approx(sum(whole), rel=1e-5)


def test_the_start_is_close_to_guessing_and_forget_gates_are_open() -> None:
    made = model()
    total, targets = total_loss(made, ids(2000), 50)
    assert abs(total / targets - math.log(SYMBOLS)) < 0.3
    bias = made.recurrent.get_parameter("bias_ih_l0")
    torch.testing.assert_close(bias[16:32], torch.ones(16))
    torch.testing.assert_close(bias[:16], torch.zeros(16))
    block = made.recurrent.get_parameter("weight_hh_l0")[32:48]
    torch.testing.assert_close(block @ block.T, torch.eye(16), atol=1e-5, rtol=0)


def pair(count: int = 9) -> tuple[Tensor, Tensor]:
    text = torch.from_numpy(ids(count).astype(np.int64))[:, None]
    return text[:-1], text[1:]


def test_tied_scores_learn_one_matrix() -> None:
    made = model(embedding=5, tied=True)
    names = [name for name, p in made.named_parameters() if p.shape == (SYMBOLS, 5)]
    assert names == ["embedding.weight"]
    assert set(made.state_dict()) == {name for name, _ in made.named_parameters()}
    made.training_loss(*pair())[0].backward()
    both = made.embedding.weight.grad.clone()
    made.zero_grad()
    scores = made._scores(made.recurrent(made._inputs(pair()[0]).detach())[0])
    torch.nn.functional.cross_entropy(scores, pair()[1].flatten()).backward()
    assert not torch.allclose(both, made.embedding.weight.grad)


@torch.no_grad()
def test_the_training_loss_is_the_loss_and_what_each_option_adds() -> None:
    plain = float(model().loss(*pair())[0])
    assert float(model().training_loss(*pair())[0]) == pytest.approx(plain)
    smoothed = float(model(label_smoothing=0.5).training_loss(*pair())[0])
    scores = model()(pair()[0])[0].log_softmax(1)
    assert smoothed == pytest.approx(0.5 * plain - 0.5 * float(scores.mean()))
    output = model().recurrent(pair()[0])[0]
    penalised = float(model(activation_penalty=2.0, change_penalty=3.0).training_loss(*pair())[0])
    added = 2 * output.square().mean() + 3 * (output[1:] - output[:-1]).square().mean()
    assert penalised == pytest.approx(plain + float(added))


def test_whole_symbols_lose_their_vector_in_training_only() -> None:
    made = model(embedding=5, embedding_dropout=0.5)
    text = torch.arange(SYMBOLS).repeat(2)[:, None]
    whole = made._inputs(text)
    made.train()
    dropped = made._inputs(text)
    lost = (dropped == 0).all(-1)
    assert 0 < int(lost.sum()) < len(text)
    assert torch.equal(lost[:SYMBOLS], lost[SYMBOLS:])
    torch.testing.assert_close(dropped[~lost], 2 * whole[~lost])
    assert not (made.eval()._inputs(text) == 0).all(-1).any()


@pytest.mark.parametrize("option", ["input_dropout", "recurrent_dropout", "weight_drop", "zoneout"])
@torch.no_grad()
def test_a_regulariser_changes_the_loss_in_training_only(option: str) -> None:
    made = model(embedding=5, **{option: 0.5})
    usual = float(model(embedding=5).loss(*pair())[0])
    assert float(made.loss(*pair())[0]) == pytest.approx(usual, rel=0.2 if option == "zoneout" else 1e-6)
    torch.manual_seed(3)
    assert float(made.train().loss(*pair())[0]) != pytest.approx(usual, rel=1e-6)
