"""How good are classifiers by default settings? Ten public sets, the mean over seeds, beside a simple method.

Nothing is chosen by hand; no pretrained vectors. The simple method is naive Bayes over words and pairs of words
(letters for names), or ridge regression on summaries of recordings.
"""

import argparse
import gzip
import time
from pathlib import Path
from statistics import mean, pstdev

import numpy as np
from measurement import beside_kept, save
from measurement.activity import read_activity

import ricorso
from ricorso.data.examples import read_examples, split_examples
from ricorso.tasks.classify import baseline
from ricorso.tasks.classify.metrics import best_threshold, figures

# what is asked of the network: at least, and what is aimed at
WANTED = {
    "imdb_subset": (0.80, 0.87), "sst2": (0.80, 0.85), "trec_questions": (0.88, 0.93), "ag_news_subset": (0.85, 0.89),
    "chnsenticorp_hotel": (0.85, 0.90), "names_languages": (0.80, 0.86), "goemotions": (0.45, 0.52),
    "uci_har_subset": (0.88, 0.93), "japanese_vowels": (0.96, 0.985), "basic_motions": (0.95, 1.00),
}  # fmt: skip


def sets(root, name):
    """Examples for training, for validation (None: a part of those for training) and for the test."""
    folder = root / name
    if name == "imdb_subset":
        return read_examples(folder / "train.jsonl.gz", label="label"), None, read_examples(folder / "test.jsonl.gz")
    if name == "sst2":
        return tuple(read_examples(folder / file) for file in ("train.tsv.gz", "dev.tsv", "test.tsv"))
    if name == "trec_questions":
        reading = {"encoding": "latin-1", "label_until": ":"}
        return (
            read_examples(folder / "train_5500.label.gz", **reading), None,
            read_examples(folder / "TREC_10.label", **reading),
        )  # fmt: skip
    if name == "ag_news_subset":
        return read_examples(folder / "train.csv.gz"), None, read_examples(folder / "test.csv.gz")
    if name == "chnsenticorp_hotel":
        whole = read_examples(folder / "ChnSentiCorp_htl_2400.csv.gz")
        train, test = split_examples(whole, 0.2, seed=0)
        return train, None, test
    if name == "names_languages":
        rest, test = split_examples(read_examples(folder), 0.1, seed=0)
        train, valid = split_examples(rest, 1 / 9, seed=0)
        return train, valid, test
    if name == "goemotions":
        files = ("train.first10000.tsv.gz", "dev.tsv.gz", "test.tsv.gz")
        return tuple(emotions(folder / file) for file in files)
    if name == "uci_har_subset":
        (inputs, labels, _), (others, wanted, _) = (read_activity(folder / part) for part in ("train", "test"))
        return read_examples(inputs, labels), None, read_examples(others, wanted)
    prefix = {"japanese_vowels": "JapaneseVowels", "basic_motions": "BasicMotions"}[name]
    return (
        read_examples(folder / f"{prefix}_TRAIN.ts.gz"), None, read_examples(folder / f"{prefix}_TEST.ts.gz"),
    )  # fmt: skip


def emotions(path):
    """Comments with the numbers of their emotions."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [line.split("\t") for line in file.read().split("\n") if line]
    return read_examples([row[0] for row in rows], [tuple(row[1].split(",")) for row in rows], several=True)


def given(examples):
    """Examples as the arguments of `fit`."""
    return examples.inputs, examples.labels if examples.several else [own[0] for own in examples.labels]


def measure(name, root, seeds, epochs, options):
    """Scores by seed, of the simple method, and the time of a training."""
    train, valid, test = sets(root, name)
    measure_by = "f1_micro" if train.several else "accuracy"
    found, seconds = [], []
    for seed in range(seeds):
        classifier = ricorso.Classifier(seed=seed, epochs=epochs, several=train.several, **options)
        begin = time.perf_counter()
        classifier.fit(*given(train), valid and given(valid))
        seconds.append(time.perf_counter() - begin)
        told = classifier.evaluate(*given(test))
        found.append(told[measure_by])
        print(f"{name} seed {seed}: {found[-1]:.4f} {classifier.best_}", flush=True)
    coding = classifier.coding_
    targets = [coding.targets(own.labels) for own in (train, test)]
    simple = baseline.simple(train.inputs, targets[0])
    scores, threshold = simple.scores(test.inputs), 0.0
    if train.several:
        threshold = best_threshold(simple.scores(valid.inputs), coding.targets(valid.labels))
    picked = scores >= threshold if train.several else baseline.likeliest(scores)
    simple = figures(scores, picked, targets[1], coding.labels, train.several)
    settings = {key: value for key, value in classifier.config_.model_dump().items() if key != "features"}
    return {
        "data": name, "measure": measure_by, "mean": mean(found), "spread": pstdev(found), "all": found,
        "simple method": simple[measure_by], "wanted": WANTED[name], "seconds": seconds, "settings": settings,
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder that holds the sets")
    parser.add_argument("--sets", nargs="+", default=list(WANTED), choices=list(WANTED))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="of each training; left out, by the number of examples")
    parser.add_argument("--threads", type=int)
    chosen = parser.parse_args()
    if chosen.data is None or not chosen.data.exists():
        print("skipped: name the folder of the sets with --data FOLDER")
        return
    rows = []
    for name in chosen.sets:
        row = measure(name, chosen.data, chosen.seeds, chosen.epochs, {"threads": chosen.threads})
        assert np.isfinite(row["all"]).all()
        print(
            f"{name:20} {row['measure']} {row['mean']:.4f} +- {row['spread']:.4f} (at least {row['wanted'][0]}); "
            f"simple method {row['simple method']:.4f}", flush=True,
        )  # fmt: skip
        rows.append(row)
        save("classification", {"rows": beside_kept("classification", rows, "data")})


if __name__ == "__main__":
    main()
