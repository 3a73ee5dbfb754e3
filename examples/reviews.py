"""Learn whether a review praises or not: words, two recurrent layers, one answer.

This is the classic first programme on film reviews: an embedding, two LSTM layers and an output. Here texts keep their
lengths and are read to their ends, some are kept for a test, and a bag of words is measured beside the network.

Name a table (CSV, TSV, JSONL, Parquet) of texts and labels, or none: then sentences are made up, in which "not" may
stand some words before what it turns around. What counts words cannot know that; what reads in order can.
"""

import argparse
import random
from pathlib import Path

from rich.console import Console

from ricorso.data.examples import Examples, read_examples, split_examples
from ricorso.insight.classification import verdict
from ricorso.tasks.classify.task import Classifier

PRAISE = ("good", "moving", "funny", "clever", "beautiful", "brilliant")
BLAME = ("bad", "dull", "silly", "tedious", "ugly", "clumsy")
THINGS = ("the film", "the story", "the acting", "its music", "the ending", "every scene")
SAID = ("{thing} is {word}", "i {no}think that {thing} was {word}", "they {no}tell me that {thing} felt {word} to them")
console = Console(highlight=False, soft_wrap=True)


def sentence(draw: random.Random) -> tuple[str, str]:
    """A made-up sentence and its label."""
    form, praise, turned = draw.choice(SAID), draw.random() < 0.5, draw.random() < 0.5
    word = draw.choice(PRAISE if praise else BLAME)
    text = form.format(thing=draw.choice(THINGS), word=word, no="do not " if turned else "really ")
    return text, "praise" if praise != (turned and "{no}" in form) else "blame"


def examples(data: Path | None, seed: int) -> Examples:
    """The examples of a table, or 1,500 made-up ones."""
    if data is not None:
        return read_examples(data)
    draw = random.Random(seed)
    texts, labels = zip(*(sentence(draw) for _ in range(1500)), strict=True)
    return read_examples(list(texts), list(labels))


def labels_of(examples: Examples) -> list[str]:
    """The one label of each example."""
    return [own[0] for own in examples.labels or ()]


def main() -> None:
    """Train, measure, and show which words mattered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="a table of texts and labels; left out, made-up sentences")
    parser.add_argument("--cell", default="lstm", help="the recurrent cell [default: lstm]")
    parser.add_argument("--layers", type=int, default=2, help="recurrent layers [default: 2]")
    parser.add_argument("--hidden", type=int, default=32, help="units in each layer [default: 32]")
    parser.add_argument("--epochs", type=int, help="times through the examples; left out, by their number")
    parser.add_argument("--one-way", action="store_true", help="read forwards only, and look at the last step only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None)
    chosen = parser.parse_args()

    train, test = split_examples(examples(chosen.data, chosen.seed), 0.2, chosen.seed)
    how = {"bidirectional": False, "pooling": ("last",)} if chosen.one_way else {}
    sizes = {"cell": chosen.cell, "num_layers": chosen.layers, "hidden_size": chosen.hidden, "epochs": chosen.epochs}
    classifier = Classifier(**sizes, **how, seed=chosen.seed, threads=chosen.threads)
    classifier.fit(train.inputs, labels_of(train))
    console.print(f"{len(train):,} texts to learn from, {len(test):,} to test on. Those kept for validation say:")
    if classifier.validation_:
        console.print(verdict(classifier.validation_))
    figures = classifier.evaluate(test.inputs, labels_of(test))
    console.print(f"accuracy on the test: {figures['accuracy']:.3f}, ROC AUC {figures['roc_auc']:.3f}")
    for text in test.inputs[:3]:
        short = text[:300]
        told = ", ".join(f"{word} {weight:+.2f}" for word, weight in classifier.explain(short) if abs(weight) > 0.2)
        console.print(f"{short}\n  {classifier.predict([short])[0]}, because of: {told}", markup=False)


if __name__ == "__main__":
    main()
