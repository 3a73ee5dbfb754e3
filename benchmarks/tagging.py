"""How well are words tagged by default settings? Parts of speech in English web texts, names in CoNLL-2003.

No given vectors, trimmed training sets. Settings were chosen on the development files, which also pick the weights to
keep; the test files are only measured on. Beside each figure stands the most frequent tag of each word. `--share`
measures instead what share of a training step the CRF takes at 20 tags.
"""

import statistics
import time
from pathlib import Path

import torch
from measurement import alternate, options, save

from ricorso.cells import get_cell
from ricorso.data.conll import read_tagged
from ricorso.tasks.tag.config import TagConfig
from ricorso.tasks.tag.data import Labelled, TagData
from ricorso.tasks.tag.inputs import WordInputs
from ricorso.tasks.tag.model import TagModel
from ricorso.tasks.tag.tagset import TagSet
from ricorso.tasks.tag.task import Tagger
from ricorso.tasks.tag.work import TagWork
from ricorso.training.average import WeightAverage
from ricorso.training.optimiser import clip, gradient_norm, optimiser

FILES = {
    "ud_english_ewt": ("en_ewt-ud-train.every4th.conllu.gz", "en_ewt-ud-dev.conllu.gz", "en_ewt-ud-test.conllu.gz"),
    "conll2003_ner": ("eng.train.first600docs.gz", "eng.testa.gz", "eng.testb.gz"),
}
TAGS, BATCHES = 20, 20


def measured(folder, settings):
    train, dev, test = (folder / name for name in FILES[folder.name])
    if settings.pop("unhurried"):
        settings["epochs"] = TagConfig().for_size(len(read_tagged(train))).epochs
    began, worked = time.perf_counter(), time.process_time()
    tagger = Tagger(**settings).fit(train, dev)
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    figures = {"dev": tagger.evaluate(dev), "test": tagger.evaluate(test)}
    row = {"seed": tagger.config_.seed, "seconds": seconds, "cpu_seconds": cpu, **tagger.best_}
    for part, found in figures.items():
        row[part] = short(found) | {"baseline": short(found["baseline"])}
    resolved = tagger.config_.model_dump()
    parameters = sum(p.numel() for p in tagger.model_.parameters())
    return row, {"settings": resolved, "parameters": parameters, "told": tagger.told_}


def short(found):
    """What is told of an evaluation."""
    spans = found["spans"] and {name: found["spans"][name] for name in ("precision", "recall", "f1", "kinds")}
    return {"accuracy": found["accuracy"], "unknown": found["unknown"], "spans": spans}


def told(rows, part):
    """Mean and spread over the seeds of what the data are measured by."""
    values = [row[part]["spans"]["f1"] if row[part]["spans"] else row[part]["accuracy"] for row in rows]
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.mean(values), "standard_deviation": spread, "values": values}


def quality(data, seeds, settings):
    result = {}
    for name in FILES:
        if not (data / name).exists():
            print(f"skipped: there is no {data / name}")
            continue
        rows = []
        for seed in range(seeds):
            row, what = measured(data / name, settings | {"seed": seed})
            rows.append(row)
            measure = "F1 of spans" if row["test"]["spans"] else "accuracy"
            figure, simple = (told([side], "test")["mean"] for side in (row, {"test": row["test"]["baseline"]}))
            print(
                f"{name}, seed {seed}: {measure} {figure:.4f} on test, most frequent tags {simple:.4f}; "
                f"{row['seconds']:.0f} s, {row['cpu_seconds']:.0f} s of CPU",
                flush=True,
            )
        result[name] = {
            **what,
            "measure": measure,
            **{part: told(rows, part) for part in ("dev", "test")},
            "rows": rows,
        }
    save("tagging", {"threads": torch.get_num_threads(), "data": result})


def share_of_crf(data, seconds):
    """The CRF's forward and backward pass, beside whole training steps on the same batches, in turn."""
    sentences = [one.tokens for one in read_tagged(data / "ud_english_ewt" / FILES["ud_english_ewt"][0])]
    tags = [tuple(f"T{(len(word) * 7 + ord(word[0])) % TAGS}" for word in words) for words in sentences]
    labelled, config = Labelled(sentences, tags), TagConfig.of({"crf": True})
    tag_set, inputs = TagSet.of(tags, None, "BIOES"), WordInputs.of(sentences, config.minimum_count)
    model = TagModel(get_cell(config.cell), inputs, TAGS, None, (0, 0), config)
    work = TagWork(model, TagData(labelled, None), inputs, tag_set, config)
    stepper = optimiser(model, config.optimiser, config.weight_decay, config.momentum)
    average, parameters = WeightAverage(model, config.average), list(model.parameters())

    def steps():
        for number in range(BATCHES):
            model.zero_grad()
            loss, _ = work.loss(work.batch(0, number, slice(None)), None)
            loss.backward()
            clip(parameters, float(gradient_norm(parameters)), config.clip)
            stepper.step()
            average.update(number)

    batches = [work.batch(0, number, slice(None)) for number in range(BATCHES)]
    scores = [torch.randn(*batch.classes.shape, TAGS, requires_grad=True) for batch in batches]

    def crf():
        for own, batch in zip(scores, batches, strict=True):
            own.grad = None
            model.crf.log_likelihood(own, batch.classes, batch.lengths).mean().backward()

    times = {name: one.shared(BATCHES) for name, one in alternate({"step": steps, "crf": crf}, seconds).items()}
    share = times["crf"].median / times["step"].median
    print(f"{TAGS} tags: a step takes {times['step'].median * 1e3:.1f} ms, of it the CRF {share:.1%}")
    rows = {name: one.as_json() for name, one in times.items()}
    steps_mean = float(work.symbols_per_batch / work.examples)
    save("tagging_crf", {"tags": TAGS, "batch_size": work.examples, "mean_length": steps_mean, **rows, "share": share})


def main():
    parser = options(__doc__, seconds=20)
    parser.add_argument("--data", type=Path, help="the folder that holds the folders ud_english_ewt and conll2003_ner")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--unhurried",
        action="store_true",
        help="as many epochs as by default, but not the limit in minutes: for a machine that does other things too",
    )
    parser.add_argument("--share", action="store_true", help="measure the CRF's share of a step")
    chosen = parser.parse_args()
    if chosen.data is None or not chosen.data.exists():
        print("skipped: name the folder with --data FOLDER")
    elif chosen.share:
        share_of_crf(chosen.data, chosen.seconds)
    else:
        quality(chosen.data, chosen.seeds, {"unhurried": chosen.unhurried})


if __name__ == "__main__":
    main()
