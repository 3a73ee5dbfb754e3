"""How fast is a classifier: training words a second beside torch.nn, one text, ten thousand texts from a file?

Training: film reviews of up to 1,000 words; five batches of texts of similar length, in turn through our model and
through the same model of torch.nn with PackedSequence, with the same weights and AdamW; scores and gradients are
compared first.
"""

import argparse
import copy
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from measurement import save
from torch import nn

import ricorso
from ricorso.bench.timing import timing
from ricorso.cells import CATALOGUE
from ricorso.data.examples import read_examples
from ricorso.data.lengthwise import Lengthwise
from ricorso.layers.pooling import Pooling
from ricorso.tasks.classify.coding import Coding
from ricorso.tasks.classify.config import ClassifyConfig
from ricorso.tasks.classify.data import chosen, encoded
from ricorso.tasks.classify.model import ClassifierModel

HIDDEN, BATCH, BATCHES, ROUNDS = 128, 32, 5, 3
TEXTS, ONE = 10_000, 50


class Packed(nn.Module):
    """The same classifier as it is usually written for torch."""

    def __init__(self, model):
        super().__init__()
        self.embedding = copy.deepcopy(model.embedding)
        self.gru = nn.GRU(model.embedding.embedding_dim, HIDDEN, bidirectional=True)
        self.gru.load_state_dict(model.recurrent.state_dict())
        self.pooling = Pooling(2 * HIDDEN, ("last", "max", "mean"), bidirectional=True)
        self.head = copy.deepcopy(model.head)

    def forward(self, steps, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(self.embedding(steps), lengths, enforce_sorted=False)
        outputs, _ = nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0])
        return self.head(self.pooling(outputs, lengths))


def steps_of(model, batches):
    """A function that makes one training step, with the next batch each time."""
    optimiser = torch.optim.AdamW(model.parameters(), 1e-4)
    turn = iter(range(10**9))

    def step():
        batch = batches[next(turn) % len(batches)]
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(batch.steps, batch.lengths), batch.targets.argmax(1)).backward()
        optimiser.step()

    return step


def training(path):
    """Words a second of training, ours and torch's."""
    examples = read_examples(path, label="label")
    config = ClassifyConfig(
        hidden_size=HIDDEN, batch_size=BATCH, grams=0, dropout=0.0, input_dropout=0.0, word_dropout=0.0
    )
    config, _ = chosen(examples, config)
    coding = Coding.of(examples, config)
    known = encoded(examples, coding)
    order = Lengthwise(known.lengths, BATCH, 0)
    batches = [known.batch(order.batch(0, n)) for n in range(BATCHES)]
    torch.manual_seed(0)
    ours = ClassifierModel(CATALOGUE["gru"], coding, config)
    theirs = Packed(ours)
    worst = 0.0
    for batch in batches[:3]:
        pair = [model(batch.steps, batch.lengths) for model in (ours, theirs)]
        worst = max(worst, float((pair[0] - pair[1]).detach().abs().max()))
        for model, scores in zip((ours, theirs), pair, strict=True):
            model.zero_grad()
            nn.functional.cross_entropy(scores, batch.targets.argmax(1)).backward()
        for name, parameter in ours.recurrent.named_parameters():
            other = theirs.gru.get_parameter(name).grad
            assert torch.allclose(parameter.grad, other, rtol=1e-3, atol=1e-5), name
    assert worst < 1e-4, worst
    sides = {"ricorso": steps_of(ours, batches), "torch.nn": steps_of(theirs, batches)}
    taken = {name: [[] for _ in batches] for name in sides}
    for _ in range(ROUNDS):
        for number in range(BATCHES):
            for name, step in sides.items():
                begin = time.perf_counter()
                step()
                taken[name][number].append(time.perf_counter() - begin)
    # the first round warms up
    seconds = {name: [median(each[1:]) for each in own] for name, own in taken.items()}
    words = [int(batch.lengths.sum()) for batch in batches]
    found = {
        name: {"words_per_second": sum(words) / sum(own), "seconds_of_each_batch": own} for name, own in seconds.items()
    }
    ratios = [theirs / ours for ours, theirs in zip(seconds["ricorso"], seconds["torch.nn"], strict=True)]
    return found | {
        "longest_texts": [int(batch.lengths.max()) for batch in batches], "words": words, "largest_difference": worst,
        "ratio_of_words_per_second": sum(seconds["torch.nn"]) / sum(seconds["ricorso"]), "ratio_of_each_batch": ratios,
    }  # fmt: skip


def prediction(repeats):
    """Milliseconds for one text of fifty words, and words a second of short texts from a file."""
    draw = np.random.default_rng(0)
    words = [f"w{n}" for n in range(5000)]
    texts = [" ".join(draw.choice(words, draw.integers(5, 21))) for _ in range(TEXTS)]
    labels = ["even" if n % 2 else "odd" for n in range(TEXTS)]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        ricorso.Classifier(hidden_size=HIDDEN, epochs=1).fit(texts[:2000], labels[:2000], out=run)
        classifier = ricorso.load(run)
        file = Path(folder) / "texts.csv"
        file.write_text("text\n" + "\n".join(texts) + "\n")
        one = [" ".join(draw.choice(words, ONE))]
        taken = {"one text": [], "file": []}
        for name, run in (("one text", lambda: classifier.predict(one)), ("file", lambda: classifier.predict(file))):
            run()
            for _ in range(repeats * (50 if name == "one text" else 1)):
                begin = time.perf_counter()
                run()
                taken[name].append(time.perf_counter() - begin)
    found = {name: timing(values) for name, values in taken.items()}
    count = sum(len(text.split()) for text in texts)
    return {
        "one_text_of_50_words": found["one text"].as_json(),
        "file": found["file"].as_json()
        | {"texts": TEXTS, "words": count, "words_per_second": count / found["file"].median},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a table of reviews with a column 'label', such as train.jsonl.gz")
    parser.add_argument("--threads", type=int)
    chosen_options = parser.parse_args()
    if chosen_options.threads:
        torch.set_num_threads(chosen_options.threads)
    answer = {"prediction": prediction(10)}
    print(answer["prediction"], flush=True)
    if chosen_options.data is None or not chosen_options.data.exists():
        print("training left out: name a table of reviews with --data train.jsonl.gz")
    else:
        answer["training"] = training(chosen_options.data)
        print(answer["training"])
    save("classification_speed", answer)


if __name__ == "__main__":
    main()
