"""Classifier: learns which label, or labels, a whole text or recording has."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from ricorso import bundle
from ricorso.data.examples import ExampleColumns, Examples, read_examples, split_examples
from ricorso.data.vectors import read_vectors
from ricorso.engine.team import threads
from ricorso.equations import Cell
from ricorso.errors import DataError, RunError, UsageError
from ricorso.tasks.classify import baseline
from ricorso.tasks.classify.calibration import calibrate
from ricorso.tasks.classify.coding import Coding, Steps
from ricorso.tasks.classify.config import ClassifyConfig
from ricorso.tasks.classify.data import ClassifyData, Encoded, chosen, continued, encoded
from ricorso.tasks.classify.grams import Grams
from ricorso.tasks.classify.metrics import best_threshold, bins, figures
from ricorso.tasks.classify.model import ClassifierModel
from ricorso.tasks.classify.stream import LabelStream
from ricorso.tasks.classify.work import ClassifyWork, scores_of
from ricorso.tasks.estimator import Estimator
from ricorso.tasks.start import LanguageModel
from ricorso.training.listener import Listener

# a path, a table, or a list of texts or of arrays (steps, features)
Source = Any


class Classifier(Estimator[ClassifyConfig, ClassifyData, ClassifierModel]):
    """Labels for whole texts or recordings: `fit` it, let it `predict`.

    The options are those of ClassifyConfig. Data may be a path (a table of texts and labels, lines of a label and a
    text, a folder for each label, a table of series), a frame, a dict of columns, or a list of texts or arrays (steps,
    features) with their labels. What is left open is chosen from the data; `told_` says what and why.

    Fitted attributes: those of every task, `coding_` (labels and vocabulary), `validation_` (what `evaluate` finds on
    the examples kept for validation, beside a simple method; None in a loaded one) and `told_`. Raises UsageError for
    an unknown option.

    >>> Classifier(hidden_size=64)
    Classifier(hidden_size=64)
    """

    task: ClassVar[str] = "classify"
    config_type = ClassifyConfig
    needed = (bundle.CONFIG, bundle.CELL, bundle.VOCABULARY)
    coding_: Coding
    told_: tuple[str, ...] = ()
    validation_: dict[str, Any] | None = None
    _simple: dict[str, Any] | None = None
    _start: LanguageModel | None = None
    _vectors: tuple[list[str], NDArray[np.float32]] | None = None

    def fit(
        self,
        data: Source,
        labels: Sequence[Any] | None = None,
        valid: Source = None,
        *,
        out: str | Path | None = None,
        listener: Listener | None = None,
    ) -> Self:
        """Train on labelled examples, and keep the weights that did best on those kept for validation.

        labels: where the data are a list. valid: examples of its own for validation, labelled in the same way, of a
        list the pair (examples, labels); left out, a tenth of the data, each label in proportion. out: a new run
        folder; left out, nothing is written.
        Raises DataError for data that cannot be used, UsageError for an option that cannot, TrainingError when training
        diverges or the disk refuses, TrainingInterrupted on Ctrl-C.
        """

        def prepared(config: ClassifyConfig) -> tuple[ClassifyData, Mapping[str, bytes]]:
            train, validation = self._split(config, data, labels, valid)
            start = None if config.init_from is None else LanguageModel.of(config.init_from)
            if start is not None:
                config = continued(train, config, start)
            self.config_, told = chosen(train, config)
            self.told_ = (*train.told, *told)
            self.coding_ = Coding.of(train, self.config_, start.vocabulary if start else None)
            self._vectors = None
            if config.vectors is not None:
                self.config_ = self.config_.model_copy(update={"vectors": str(Path(config.vectors).resolve())})
                words, vectors = self._vectors = self._read_vectors()
                self.coding_ = self.coding_.with_vectors(words, vectors.shape[1])
                self.told_ = (*self.told_, f"{len(words):,} given vectors of {vectors.shape[1]}")
            paths = [str(Path(one).resolve()) if isinstance(one, str | Path) else None for one in (data, valid)]
            self.data_ = {"path": paths[0], "valid": paths[1], "columns": train.columns.to_json()}
            self.data_ |= {"sha256": _digest(train), "examples": len(train.inputs), "told": list(self.told_)}
            self._start = start
            self.data_["start"] = start.digest if start else None
            return self._prepare(train, validation), {}

        return self._fit(prepared, out, listener)

    @classmethod
    def resume(
        cls, folder: str | Path, data: Source = None, valid: Source = None, *, labels: Sequence[Any] | None = None,
        listener: Listener | None = None,
    ) -> Self:  # fmt: skip
        """Go on with a training that was stopped or killed; a finished one is loaded.

        data, valid, labels: as for `fit`, where the examples are not in the files that they were read from. Raises
        RunError when the folder is damaged or the data are others.
        """

        def prepared(self: Self, known: dict[str, Any]) -> ClassifyData:
            source = known["path"] if data is None else data
            if source is None:
                raise RunError(f"The data of '{folder}' were in no file; give them again.")
            train, validation = self._split(self.config_, source, labels, known["valid"] if valid is None else valid)
            if _digest(train) != known["sha256"]:
                raise RunError("The data are not those that this run was trained on. Bring them back, or train anew.")
            return self._prepare(train, validation)

        return cls._resume(Path(folder), prepared, listener)

    def _split(
        self, config: ClassifyConfig, data: Source, labels: Sequence[Any] | None, valid: Source
    ) -> tuple[Examples, Examples | None]:
        train = _read(data, config, labels)
        if valid is not None:
            own, beside = valid if isinstance(valid, tuple) and len(valid) == 2 else (valid, None)
            return train, _read(own, config, beside, train.columns, train.counts())
        if not config.validation_fraction:
            return train, None
        return split_examples(train, config.validation_fraction, config.seed)

    def _prepare(self, train: Examples, validation: Examples | None) -> ClassifyData:
        # training examples are counted by the others, not by all
        learning = encoded(train, replace(self.coding_, grams=None))
        if self.config_.grams:
            grams, counted = Grams.of(learning.steps, learning.targets, self.coding_.symbols, self.config_.grams)
            self.coding_, learning = replace(self.coding_, grams=grams), replace(learning, counted=counted)
        data = ClassifyData(learning, encoded(validation, self.coding_) if validation is not None else None)
        if data.validation is not None and validation is not None:
            method = baseline.simple(train.inputs, data.train.targets)
            scores = method.scores(validation.inputs)  # type: ignore[arg-type]
            several, truth = self.coding_.several, data.validation.targets
            odds = _odds(scores)
            # it may choose its threshold by the same examples as the network
            picked = odds >= best_threshold(odds, truth) if several else baseline.likeliest(scores)
            measured = figures(odds, picked, truth, self.coding_.labels, several)
            self._simple = {"name": method.name, "accuracy": measured["accuracy"], "f1_micro": measured["f1_micro"]}
        return data

    def _read_vectors(self) -> tuple[list[str], NDArray[np.float32]]:
        assert self.config_.vectors is not None
        return read_vectors(self.config_.vectors, self.config_.vectors_limit)

    # --- what every task brings

    def _read(self, folder: Path) -> None:
        ExampleColumns.from_json(self.data_["columns"])
        self.told_ = tuple(self.data_["told"])
        self.coding_ = Coding.from_json(bundle.read_json(folder / bundle.VOCABULARY))
        if self.config_.grams:
            counts = bundle.read_tensors(folder / bundle.COUNTS)
            grams = Grams.from_tensors(counts, self.coding_.symbols, self.config_.grams, len(self.coding_.labels))
            self.coding_ = replace(self.coding_, grams=grams)

    def _files(self) -> dict[str, bytes]:
        files = {bundle.VOCABULARY: bundle.to_json(self.coding_.to_json())}
        if self.coding_.grams is not None:
            files[bundle.COUNTS] = bundle.to_safetensors(self.coding_.grams.to_tensors())
        return files

    def _make(self, cell: Cell) -> ClassifierModel:
        if self._start is not None:
            cell = self._start.cell
        return ClassifierModel(cell, self.coding_, self.config_)

    def _work(self, data: ClassifyData) -> ClassifyWork:
        if self.model_.given is not None:
            # checkpoints hold what is learnt only
            words, vectors = self._vectors or self._read_vectors()
            self.model_.given.copy_(torch.from_numpy(self.coding_.table(words, vectors)))
        return ClassifyWork(self.model_, data, self.config_)

    def _measures(self, data: ClassifyData) -> bool:
        return data.validation is not None

    def _facts(self, data: ClassifyData, work: ClassifyWork) -> dict[str, Any]:
        validation = 0 if data.validation is None else len(data.validation.steps)
        return {
            "labels": len(self.coding_.labels),
            "examples": len(data.train.steps),
            "about": f"{len(data.train.steps):,} examples to train on, {validation:,} to validate on; "
            + "; ".join((f"{len(self.coding_.labels)} labels", *self.told_)),
        }

    def _begin(self, data: ClassifyData) -> None:
        if self.config_.init_from is not None:
            start = self._start or LanguageModel.of(self.config_.init_from)
            if start.digest != self.data_["start"]:
                raise RunError(f"The run '{self.config_.init_from}' is not the one that this training started from.")
            self.model_.take_over(start)

    def _finish(self, data: ClassifyData) -> None:
        self.model_.learn_from_the_top(None)
        if data.validation is not None:
            scores, counted = scores_of(self.model_, data.validation), data.validation.counted
            calibrate(self.model_, scores, counted, data.validation.targets, self.coding_.several)
            self.validation_ = self._figures(data.validation) | {"baseline": self._simple}

    # --- labels

    def predict(self, data: Source) -> list[str] | list[tuple[str, ...]]:
        """The label of each example, or of several labels those that are likely enough.

        data: a list of texts or arrays, or what `fit` takes; labels there are not needed and not looked at. Raises
        DataError for data that cannot be read.
        """
        self._check_fitted()
        return self.coding_.named(self._chosen(self.predict_proba(data)))

    def predict_proba(self, data: Source) -> NDArray[np.float64]:
        """Calibrated probabilities (examples, labels), in the order of `coding_.labels`."""
        self._check_fitted()
        return self._probabilities(self._steps(self._inputs(data)))

    def table(self, data: Source, *, explain: bool = False) -> pl.DataFrame:
        """A row for each example: its id, its label or labels, and the probability of each label.

        explain: with the five words (or steps) that spoke most for the likeliest label.
        """
        self._check_fitted()
        examples = self._unlabelled(data)
        probabilities = self._probabilities(self._steps(examples.inputs)).round(6)
        named = self.coding_.named(self._chosen(probabilities))
        told = [one if isinstance(one, str) else "|".join(one) for one in named]
        frame = pl.DataFrame({"id": list(examples.ids), "label": told})
        each: dict[str, Any] = {f"p({label})": probabilities[:, n] for n, label in enumerate(self.coding_.labels)}
        if explain:
            each["because"] = [self._because(one) for one in examples.inputs]
        return frame.with_columns(**{name: pl.Series(name, values) for name, values in each.items()})

    def _because(self, example: Any) -> str:
        weights: dict[str, float] = {}
        for piece, weight in self.explain(example):
            weights[piece] = max(weight, weights.get(piece, 0.0))
        ranked = sorted(weights.items(), key=lambda item: -item[1])
        return " ".join(piece for piece, weight in ranked[:5] if weight > 0)

    def evaluate(self, data: Source, labels: Sequence[Any] | None = None) -> dict[str, Any]:
        """Measure on labelled examples: see `ricorso.tasks.classify.metrics.figures`.

        Raises DataError for data that cannot be read, and for a label that was not there in training.
        """
        self._check_fitted()
        examples = _read(
            data, self.config_, labels, None if labels is not None else self._columns(), self.coding_.labels
        )
        return self._figures(encoded(examples, self.coding_))

    def _figures(self, known: Encoded) -> dict[str, Any]:
        probabilities = self._probabilities(list(known.steps))
        chosen_labels, labels, several = self._chosen(probabilities), self.coding_.labels, self.coding_.several
        found = figures(probabilities, chosen_labels, known.targets, labels, several)
        return found | {"several": several, "bins": bins(probabilities, known.targets, several)}

    def explain(self, example: str | NDArray[Any], label: str | None = None) -> list[tuple[str, float]]:
        """What mattered: each word (or step) of an example and how much it spoke for a label, the likeliest one.

        The figure is the gradient of the label's score times the input, summed over the input's numbers (Shrikumar et
        al. 2017), and what the word's counts added, as a share of the largest; below zero it spoke against. Raises
        UsageError for an unknown label.
        """
        self._check_fitted()
        own = self.coding_.encode(example)
        batch = self._without_labels([own]).batch(np.zeros(1, np.int64))
        read = self.model_.embedded(batch.steps).detach().requires_grad_()
        scores = self.model_.scores(read, batch.lengths, batch.counted)[0]
        if label is not None and label not in self.coding_.labels:
            raise UsageError(f"There is no label '{label}'. Known: {', '.join(self.coding_.labels)}.")
        wanted = int(scores.argmax()) if label is None else self.coding_.labels.index(label)
        # against the mean of all, so that what speaks for every label says nothing
        others = scores.mean() if len(scores) > 1 else 0.0
        gradient = torch.autograd.grad(scores[wanted] - others, read)[0]
        weight = (gradient * read.detach()).sum(2)[:, 0]
        if self.coding_.grams is not None and self.model_.counted is not None:
            spoke = torch.from_numpy(self.coding_.grams.spoke(own))
            of_labels = self.model_.counted(spoke).detach()
            weight = weight + of_labels[:, wanted] - (of_labels.mean(1) if len(scores) > 1 else 0.0)
        weight = weight / weight.abs().max().clamp(min=1e-12)
        return list(zip(self.coding_.pieces(example), weight.tolist(), strict=True))

    def stream(self) -> LabelStream:
        """A running sequence: give it steps one by one, and it has an estimate after each, at the same cost.

        Raises UsageError for a model that reads from both ends, or pools by attention.
        """
        self._check_fitted()
        return LabelStream(self.model_, self.coding_, self.config_)

    def _columns(self) -> ExampleColumns:
        return ExampleColumns.from_json(self.data_["columns"])

    def _inputs(self, data: Source) -> Sequence[Any]:
        if isinstance(data, list | tuple | np.ndarray):
            if len(data) and isinstance(data, list | tuple) and not isinstance(data[0], str | np.ndarray):
                raise DataError(
                    f"A list should hold texts or arrays (steps, features); it holds {type(data[0]).__name__}."
                )
            return list(data)
        return self._unlabelled(data).inputs

    def _unlabelled(self, data: Source) -> Examples:
        return _read(data, self.config_, columns=self._columns(), known=self.coding_.labels, needs_labels=False)

    def _steps(self, inputs: Sequence[Any]) -> list[Steps]:
        return [self.coding_.encode(one) for one in inputs]

    def _without_labels(self, steps: Sequence[Steps]) -> Encoded:
        nothing = np.zeros((len(steps), len(self.coding_.labels)), np.bool_)
        return Encoded(tuple(steps), nothing, self.coding_.counted(steps))

    def _probabilities(self, steps: Sequence[Steps]) -> NDArray[np.float64]:
        if not steps:
            return np.zeros((0, len(self.coding_.labels)))
        data = self._without_labels(steps)
        with threads(self.config_.threads), torch.no_grad():
            scores = scores_of(self.model_, data).double()
            return self.model_.probabilities(scores, self.coding_.several).numpy()

    def _chosen(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        if self.coding_.several:
            found: NDArray[np.bool_] = probabilities >= self.model_.thresholds.double().numpy()
            return found
        return baseline.likeliest(probabilities)


def _read(
    data: Source, config: ClassifyConfig, labels: Sequence[Any] | None = None, columns: ExampleColumns | None = None,
    known: Collection[str] = (), needs_labels: bool = True,
) -> Examples:  # fmt: skip
    roles: dict[str, Any] = {"columns": columns}
    if columns is None:
        names = ("text", "label", "example", "time", "features", "several", "separator", "label_until")
        roles = {name: getattr(config, name) for name in names}
    reading = {name: getattr(config, name) for name in ("encoding", "header", "drop_empty")}
    return read_examples(data, labels, known=known, needs_labels=needs_labels, **roles, **reading)


def _digest(examples: Examples) -> str:
    digest = hashlib.sha256()
    for one, own in zip(examples.inputs, examples.labels or (), strict=True):
        digest.update(one.encode() if isinstance(one, str) else np.ascontiguousarray(one).tobytes())
        digest.update("\0".join(own).encode() + b"\1")
    return digest.hexdigest()


def _odds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores as numbers from 0 to 1, for measures of their order."""
    found: NDArray[np.float64] = 0.5 + 0.5 * scores / (1 + np.abs(scores))
    return found
