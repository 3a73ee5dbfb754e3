"""Learn to find persons, places and dates in sentences, and mark them in new ones.

The sentences are made up from a few patterns, so nothing has to be fetched; names in the new sentences were never seen.
With --data FILE the tagger learns from your own file (CoNLL-U, CoNLL columns or JSON lines) and is measured on a part
of it that it has not seen.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console

import ricorso
from ricorso.data.conll import read_tagged

PATTERNS = (
    "{PER} was born in {LOC} in {DATE} .",
    "In {DATE} , {PER} moved from {LOC} to {LOC} .",
    "{PER} and {PER} met in {LOC} .",
    "The train to {LOC} leaves at noon .",
    "Nobody in {LOC} knew {PER} in {DATE} .",
    "{PER} will visit us in {DATE} .",
)
FIRST = ("Anna", "Boris", "Clara", "David", "Elena", "Frank", "Greta", "Hugo", "Irina", "Jonas", "Karin", "Louis")
LAST = ("Abel", "Berger", "Curie", "Dorn", "Ekman", "Fischer", "Goldberg", "Hansen", "Ivanov", "Janssen")
PLACES = (
    "Athens",
    "Berlin",
    "Cape Town",
    "Dublin",
    "Essen",
    "Geneva",
    "Hong Kong",
    "Lima",
    "New York",
    "Oslo",
    "Paris",
)
MONTHS = ("January", "March", "May", "June", "August", "October", "December")
NEW = (
    "Marta Olsen was born in Ghent in April 1871.",
    "In July 2024, Peter moved from Oslo to Addis Ababa.",
    "The train to Turin leaves at noon.",
)
console = Console(highlight=False, soft_wrap=True)


def made(count, seed):
    """Sentences with a tag for each word."""
    draw = np.random.default_rng(seed)

    def name(kind):
        if kind == "PER":
            return [str(draw.choice(part)) for part in (FIRST, LAST)[: int(draw.integers(1, 3))]]
        if kind == "LOC":
            return str(draw.choice(PLACES)).split()
        return [str(draw.choice(MONTHS)), str(draw.integers(1800, 2030))][int(draw.integers(2)) :]

    found = []
    for _ in range(count):
        words, tags = [], []
        for part in str(draw.choice(PATTERNS)).split():
            kind = part.strip("{}")
            own = [part] if kind == part else name(kind)
            words += own
            tags += ["O"] if kind == part else [f"B-{kind}", *[f"I-{kind}"] * (len(own) - 1)]
        found.append((words, tags))
    return found


def main():
    """Train, measure, mark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a file of your own to learn from")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the sentences [default: 10]")
    parser.add_argument("--hidden", type=int, default=64, help="units in each direction [default: 64]")
    parser.add_argument("--out", type=Path, default=Path("tagged.html"), help="the page [default: tagged.html]")
    chosen = parser.parse_args()
    pairs = made(400, seed=0) if chosen.data is None else read_tagged(chosen.data)
    held_out = len(pairs) // 5
    # the few names in the patterns would soon be known by heart, by word and by letter; what stands around them tells
    # new ones
    few = {"word_dropout": 0.5, "character_hidden": 8} if chosen.data is None else {}
    tagger = ricorso.Tagger(epochs=chosen.epochs, hidden_size=chosen.hidden, **few).fit(pairs[held_out:])
    figures = tagger.evaluate(pairs[:held_out])
    simple = figures["baseline"]
    console.print(f"{'; '.join(tagger.told_)}.")
    console.print(f"right tags: {figures['accuracy']:.1%} (most frequent tag of each word: {simple['accuracy']:.1%})")
    if figures["spans"]:
        console.print(f"F1 of spans: {figures['spans']['f1']:.3f} ({simple['spans']['f1']:.3f})")
    texts = list(NEW) if chosen.data is None else [words for words, _ in pairs[:10]]
    for words, tags in zip(tagger.sequences(texts), tagger.predict(texts), strict=True):
        console.print("  ".join(f"{word}/{tag}" if tag != "O" else word for word, tag in zip(words, tags, strict=True)))
    console.print(f"marked in {tagger.show(texts).save(chosen.out)}")


if __name__ == "__main__":
    main()
