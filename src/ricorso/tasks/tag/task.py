"""Tagger: learns a label for every step of a sequence."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from ricorso import bundle
from ricorso.data.conll import read_tokens
from ricorso.data.spans import Span, kinds_in, not_marks, spans_of
from ricorso.data.table import listed
from ricorso.data.vectors import read_vectors
from ricorso.equations import Cell
from ricorso.errors import DataError, RicorsoError, RunError, UsageError
from ricorso.tasks.estimator import Estimator
from ricorso.tasks.tag.answers import Answers
from ricorso.tasks.tag.config import TagConfig
from ricorso.tasks.tag.data import (
    Labelled,
    TagData,
    as_sequence,
    check_learnable,
    check_tags,
    read,
    scheme_for,
    split,
    usual_tags,
)
from ricorso.tasks.tag.inputs import Inputs, SeriesInputs, WordInputs, read_inputs
from ricorso.tasks.tag.metrics import accuracy_where, span_figures, token_figures
from ricorso.tasks.tag.model import TagModel
from ricorso.tasks.tag.series import read_series
from ricorso.tasks.tag.tagset import TagSet
from ricorso.tasks.tag.work import TagWork
from ricorso.training.listener import Listener

if TYPE_CHECKING:
    from ricorso.tasks.tag.marked import Marked

# a path, or pairs of words (or features) and tags; a path, sentences, or series
Source = Any
Sequences = Any


class Tagger(Estimator[TagConfig, TagData, TagModel]):
    """A label at every step of a sequence, as of parts of speech or names: `fit` it, let it `predict`.

    The options are those of TagConfig. Data are the path of a file (CoNLL-U, CoNLL columns, JSON lines) or a list of
    pairs: the words of a sentence, or the features of a series as an array (time, features), and a tag for each step.
    With the option `column` files are tables of series (CSV, JSON lines, Parquet).

    Fitted attributes: those of every task, `tags_` (every tag), `scheme_` (how they mark spans, or None), `told_` (what
    was found out about the data), `held_out_` (what it was validated on, None in a loaded one). Raises UsageError for
    an unknown option.

    >>> Tagger(hidden_size=64)
    Tagger(hidden_size=64)
    """

    task: ClassVar[str] = "tag"
    config_type = TagConfig
    needed = (bundle.CONFIG, bundle.CELL, bundle.VOCABULARY)
    told_: tuple[str, ...] = ()
    held_out_: Labelled | None = None
    _tags: TagSet
    _inputs: Inputs
    _usual: dict[str, str]
    _given: tuple[int, int]

    def fit(
        self,
        data: Source,
        valid: Source = None,
        *,
        out: str | Path | None = None,
        listener: Listener | None = None,
    ) -> Self:
        """Train on labelled sequences, and keep the weights that did best on those for validation.

        valid: data for validation; left out, a part of `data`. out: a new run folder; left out, nothing is written.
        Raises DataError for data that cannot be used, UsageError for an option that cannot, TrainingError when training
        diverges or the disk refuses, TrainingInterrupted on Ctrl-C.
        """

        def prepared(config: TagConfig) -> tuple[TagData, Mapping[str, bytes]]:
            whole = read(data, config)
            held_out = None if valid is None else read(valid, config, whole.names)
            self.data_ = {
                "train": whole.fingerprint(),
                "validation": None if held_out is None else held_out.fingerprint(),
            }
            return self._learn(whole, held_out), {}

        return self._fit(prepared, out, listener)

    @classmethod
    def resume(
        cls, folder: str | Path, data: Source = None, valid: Source = None, *, listener: Listener | None = None
    ) -> Self:
        """Go on with a training that was stopped or killed; a finished one is loaded.

        data, valid: the data, where they are not in the files that they were read from. Raises RunError when the folder
        is damaged or the data are others.
        """

        def prepared(self: Self, known: dict[str, Any]) -> TagData:
            whole = _again(data, known["train"], self.config_, folder)
            held_out = None
            if known["validation"]:
                held_out = _again(valid, known["validation"], self.config_, folder)
            return self._split(whole, held_out)

        found = cls._resume(Path(folder), prepared, listener)
        if found.held_out_ is None:
            # a finished run needs no data; it is measured on them where they are still there
            with contextlib.suppress(RicorsoError):
                found.held_out_ = prepared(found, found.data_).validation
        return found

    # --- what every task brings

    def _learn(self, whole: Labelled, held_out: Labelled | None) -> TagData:
        """Take words, letters and tags from the training data, and say what was found."""
        config, told = self.config_, []
        scheme = scheme_for(whole, config)
        wrong = sum(check_tags(one, scheme, config) for one in (whole, held_out) if one is not None)
        data = self._split(whole, held_out)
        train = data.train
        self._tags = TagSet.of(train.tags, scheme, config.learn_as)
        check_learnable(train, held_out, self._tags)
        if train.series:
            self._inputs, self._given = SeriesInputs.of(train.sequences, train.names), (0, 0)
        else:
            names, table = self._vectors_file()
            self._inputs = WordInputs.of(train.sequences, config.minimum_count, names)
            self._given = (0, 0) if table is None else table.shape
            data = TagData(train, data.validation, table)
            if table is not None:
                told.append(f"{len(names):,} given vectors of {table.shape[1]}")
        self._usual = usual_tags(train, self._tags)
        crf = scheme is not None if config.crf is None else config.crf
        self.config_ = config.model_copy(update={"crf": crf}).for_size(len(train.tags))
        others = not_marks(train.tags) if scheme is None and kinds_in(train.tags) else []
        since = f", since some are of another form: {listed(others)}" if others else ""
        told.append(f"tags mark spans ({scheme})" if scheme else f"tags mark no spans{since}")
        if scheme == "IOB1":
            told.append("they are told as IOB2")
        if wrong:
            told.append(f"{wrong:,} sequences have tags that {scheme} does not allow, read as conlleval reads them")
        if held_out is not None and (unseen := self._tags.unseen(held_out.tags)):
            told.append(f"tags for validation that training lacks count as wrong: {listed(unseen)}")
        told.append("whole sequences of tags are scored (CRF)" if crf else "each step is decided by itself (softmax)")
        self.told_ = tuple(told)
        return data

    def _split(self, whole: Labelled, held_out: Labelled | None) -> TagData:
        train, validation = (whole, held_out) if held_out is not None else split(whole, self.config_)
        table = None
        if hasattr(self, "_inputs") and isinstance(self._inputs, WordInputs) and self._inputs.vectors:
            _, table = self._vectors_file()
        return TagData(train, validation, table)

    def _vectors_file(self) -> tuple[list[str], NDArray[np.float32] | None]:
        """The words of the file of vectors, and the table with a row of zeros for all others."""
        if self.config_.vectors is None:
            return [], None
        names, table = read_vectors(self.config_.vectors, self.config_.vectors_limit)
        return names, np.concatenate([np.zeros((1, table.shape[1]), np.float32), table])

    def _read(self, folder: Path) -> None:
        found = bundle.read_json(folder / bundle.VOCABULARY)
        self._tags, self._inputs = TagSet.from_json(found["tags"]), read_inputs(found["inputs"])
        self._usual, (rows, width) = dict(found["usual"]), found["given"]
        self._given = int(rows), int(width)
        _ = self.data_["train"], self.data_["validation"]

    def _files(self) -> dict[str, bytes]:
        found = {
            "tags": self._tags.to_json(),
            "inputs": self._inputs.to_json(),
            "usual": self._usual,
            "given": list(self._given),
        }
        return {bundle.VOCABULARY: bundle.to_json(found)}

    def _make(self, cell: Cell) -> TagModel:
        found = self._tags.allowed()
        # what is not a weight is there even where the model has no memory yet
        with torch.device("cpu"):
            allowed = None if found is None else torch.from_numpy(found)
        return TagModel(cell, self._inputs, len(self._tags.classes), allowed, self._given, self.config_)

    def _work(self, data: TagData) -> TagWork:
        self.held_out_ = data.validation
        return TagWork(self.model_, data, self._inputs, self._tags, self.config_)

    def _measures(self, data: TagData) -> bool:
        return data.validation is not None

    def _facts(self, data: TagData, work: TagWork) -> dict[str, Any]:
        return {
            "sequences": len(data.train.tags),
            "steps": data.train.steps,
            "tags": len(self._tags.tags),
            "about": f"{len(data.train.tags):,} sequences, {data.train.steps:,} steps, {len(self._tags.tags)} tags; "
            + "; ".join(self.told_),
        }

    # --- tagging

    @property
    def tags_(self) -> tuple[str, ...]:
        """Every tag that is told, in the order of `probabilities`."""
        self._check_fitted()
        return self._tags.tags

    @property
    def scheme_(self) -> str | None:
        """How the tags mark spans: IOB2 or BIOES, or None."""
        self._check_fitted()
        return self._tags.scheme

    @property
    def reads_words(self) -> bool:
        """Whether the sequences are words, and not series of numbers."""
        self._check_fitted()
        return isinstance(self._inputs, WordInputs)

    @property
    def _answers(self) -> Answers:
        self._check_fitted()
        return Answers(self.model_, self._inputs, self._tags, self.config_.threads)

    def predict(self, sequences: Sequences) -> list[list[str]]:
        """The tags of each sequence.

        sequences: sentences as lists of words or as texts, which are split; series as arrays (time, features); or a
        Path, of a file of sentences or of a table of series. Raises DataError for what cannot be read.
        """
        return self._answers.tags(self.sequences(sequences))

    def sequences(self, given: Sequences) -> list[Any]:
        """The words of each sentence as `predict` takes them, or the series. Raises DataError as `predict` does."""
        self._check_fitted()
        if isinstance(given, Path) and isinstance(self._inputs, SeriesInputs):
            return list(read_series(given, self.config_, self._inputs.names, tagged=False)[1])
        if isinstance(given, Path):
            return list(read_tokens(given, self.config_.word_column, self.config_.encoding))
        if isinstance(given, str) or (isinstance(given, np.ndarray) and given.ndim == 2):
            given = [given]
        found = [as_sequence(one, number) for number, one in enumerate(given, 1)]
        for number, one in enumerate(found, 1):
            if isinstance(one, np.ndarray) != isinstance(self._inputs, SeriesInputs):
                wanted = "series of numbers" if isinstance(self._inputs, SeriesInputs) else "words"
                raise DataError(f"Sequence {number} is of another kind than the training data; wanted {wanted}.")
        return found

    def spans(self, sequences: Sequences) -> list[list[Span]]:
        """The spans in each sequence: where each begins, the step after its end, and its kind.

        Raises UsageError where the tags mark no spans.
        """
        self._check_fitted()
        if self._tags.scheme is None:
            raise UsageError("The tags of this model mark no spans; use predict.")
        return [spans_of(tags) for tags in self.predict(sequences)]

    def probabilities(self, sequences: Sequences) -> list[NDArray[np.float32]]:
        """The probability of each tag of `tags_` at each step, (steps, tags) for each sequence."""
        return self._answers.probabilities(self.sequences(sequences))

    def best(self, sequences: Sequences, count: int = 5) -> list[list[tuple[list[str], float]]]:
        """The `count` most probable sequences of tags of each sequence, with their probabilities; fewer if there are.

        Raises UsageError for a count below 1.
        """
        if count < 1:
            raise UsageError(f"count must be 1 or more, got {count}.")
        return self._answers.best(self.sequences(sequences), count)

    def table(self, sequences: Sequences) -> pl.DataFrame:
        """A row for each step: sequence and step from 1, the word (not of series), its tag, the probability of that."""
        found = self.sequences(sequences)
        tags, chances = self._answers.sure(found)
        columns: dict[str, Any] = {
            "sequence": np.repeat(np.arange(1, len(found) + 1), [len(own) for own in tags]),
            "step": np.concatenate([np.arange(1, len(own) + 1) for own in tags]),
            "tag": [tag for own in tags for tag in own],
            "probability": np.concatenate(chances),
        }
        if isinstance(self._inputs, WordInputs):
            columns["word"] = [word for words in found for word in words]
        return pl.DataFrame(columns).select("sequence", "step", *("word",) * ("word" in columns), "tag", "probability")

    def show(self, sequences: Sequences) -> "Marked":
        """Sentences with their tags as a page: shown in a notebook, or saved. Raises UsageError for series.

        tagger.show("Anna met Paul in Rome.").save("tagged.html")
        """
        from ricorso.tasks.tag.marked import Marked

        found = self.sequences(sequences)
        if isinstance(self._inputs, SeriesInputs):
            raise UsageError("A page shows words; this model tags series.")
        tags, chances = self._answers.sure(found)
        return Marked(found, tags, [own.tolist() for own in chances], self._tags.scheme is not None)

    def evaluate(self, data: Source) -> dict[str, Any]:
        """Measure the model on labelled data.

        Returns accuracy (share of right tags), tokens, `tags` (precision, recall, F1 and support of each), `spans` (the
        same of whole spans, over all and by kind, None where tags mark none), `unknown` (accuracy on words that the
        training data do not hold, and how many these are), and `baseline`, all of this for the most frequent tag of
        each word; `unseen`, tags that training lacked, which count as wrong. Raises DataError for data that cannot be
        used.
        """
        self._check_fitted()
        names = self._inputs.names if isinstance(self._inputs, SeriesInputs) else ()
        labelled = read(data, self.config_, names)
        sequences = self.sequences(labelled.sequences)
        truth = [self._tags.told(tags) for tags in labelled.tags]
        usual = self._usual[""]
        words = [[""] * len(s) for s in sequences] if labelled.series else sequences
        baseline = [self._tags.told([self._usual.get(word, usual) for word in own]) for own in words]
        return {
            **self._figures(words, truth, self.predict(sequences)),
            "baseline": self._figures(words, truth, baseline),
            "sequences": len(truth),
            "repaired": self._tags.wrong(labelled.tags),
            "unseen": self._tags.unseen(labelled.tags),
        }

    def _figures(self, sequences: list[Any], truth: list[list[str]], found: list[list[str]]) -> dict[str, Any]:
        inputs = self._inputs
        return {
            **token_figures(truth, found),
            "spans": span_figures(truth, found) if self._tags.scheme else None,
            "unknown": accuracy_where(sequences, truth, found, lambda word: not inputs.knows(word)),
        }


def _again(given: Source, known: Mapping[str, Any], config: TagConfig, folder: str | Path) -> Labelled:
    """The data of a run: as given, or from where they were. Raises RunError where they are others."""
    source = known["path"] if given is None else given
    if source is None:
        raise RunError(f"The data of '{folder}' were in no file; give them again.")
    found = read(source, config)
    if found.fingerprint()["sha256"] != known["sha256"]:
        raise RunError("The data are not those that this run was trained on. Bring them back, or train anew.")
    return found
