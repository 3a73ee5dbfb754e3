"""Three models as people write them for torch, made faster in place by one call.

A tagger over packed sequences, a language model with tied weights, and a decoder that attends to an encoder one step at
a time. Nothing in them knows of Ricorso. For each a report says what was replaced, that outputs and gradients are the
same, and how many times faster each layer and the whole model now are on this machine.
"""

import argparse
import sys

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import ricorso


class Tagger(nn.Module):
    """A tag for every word of sentences of different lengths."""

    def __init__(self, words: int, tags: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, embedding, padding_idx=0)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True, bidirectional=True)
        self.score = nn.Linear(2 * hidden, tags)

    def forward(self, sentences: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embed(sentences), lengths.cpu(), batch_first=True, enforce_sorted=False)
        output, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=sentences.shape[1])
        return self.score(output)


class LanguageModel(nn.Module):
    """The next word, with the words' vectors used twice: on the way in and on the way out."""

    def __init__(self, words: int, hidden: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(words, hidden)
        self.rnn = nn.LSTM(hidden, hidden, num_layers=2, dropout=dropout)
        self.decoder = nn.Linear(hidden, words)
        self.decoder.weight = self.encoder.weight

    def forward(self, words: Tensor, hidden: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple]:
        output, hidden = self.rnn(self.drop(self.encoder(words)), hidden)
        return self.decoder(self.drop(output)), hidden


class Translator(nn.Module):
    """A decoder that looks back at all states of an encoder before each of its steps."""

    def __init__(self, source: int, target: int, hidden: int) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(source, hidden), nn.Embedding(target, hidden)
        self.encoder = nn.GRU(hidden, hidden, batch_first=True)
        self.cell = nn.LSTMCell(2 * hidden, hidden)
        self.query, self.score = nn.Linear(hidden, hidden, bias=False), nn.Linear(2 * hidden, target)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory, last = self.encoder(self.source(source))
        h, c = last[0], torch.zeros_like(last[0])
        context, scores = torch.zeros_like(h), []
        for word in self.target(target).unbind(1):
            h, c = self.cell(torch.cat([word, context], 1), (h, c))
            weights = torch.bmm(memory, self.query(h).unsqueeze(2)).softmax(1)
            context = (weights * memory).sum(1)
            scores.append(self.score(torch.cat([h, context], 1)))
        return torch.stack(scores, 1)


def models(hidden: int, batch: int, steps: int) -> list[tuple[nn.Module, tuple[Tensor, ...]]]:
    """Each model with the arguments of a call."""
    words = 1000
    sentences = torch.randint(1, words, (batch, steps))
    lengths = torch.randint(1, steps + 1, (batch,))
    sentences[torch.arange(steps) >= lengths.unsqueeze(1)] = 0
    return [
        (Tagger(words, 17, hidden, hidden), (sentences, lengths)),
        (LanguageModel(words, hidden), (torch.randint(words, (steps, batch)),)),
        (
            Translator(words, words, hidden),
            (torch.randint(words, (batch, steps)), torch.randint(words, (batch, steps))),
        ),
    ]


def main() -> None:
    """Accelerate the three, and print the reports."""
    parser = argparse.ArgumentParser(description="Three torch models, made faster in place.")
    parser.add_argument("--hidden", type=int, default=128, help="units of every layer (128)")
    parser.add_argument("--batch", type=int, default=16, help="sequences at a time (16)")
    parser.add_argument("--steps", type=int, default=30, help="length of the sequences (30)")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long to measure each model (8)")
    parser.add_argument("--measure", choices=["forward", "training", "both"], default="training")
    parser.add_argument("--threads", type=int, help="threads of torch and of Ricorso")
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    for model, example in models(chosen.hidden, chosen.batch, chosen.steps):
        report = ricorso.accelerate(model, *example, seconds=chosen.seconds, measure=chosen.measure)
        sys.stdout.write(f"{report}\n\n")


if __name__ == "__main__":
    main()
