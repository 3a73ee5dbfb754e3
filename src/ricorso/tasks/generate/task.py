"""Generator: learns a text symbol by symbol and writes more of it."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np

from ricorso import bundle
from ricorso.data.text import describe_character
from ricorso.data.vocabularies import read_vocabulary
from ricorso.data.vocabulary import Ids, Vocabulary
from ricorso.decoding.sample import Sampler
from ricorso.engine.team import threads
from ricorso.equations import Cell
from ricorso.errors import DataError, UsageError
from ricorso.tasks.estimator import Estimator
from ricorso.tasks.generate.config import GenerateConfig
from ricorso.tasks.generate.data import TextData, prepare, read_source
from ricorso.tasks.generate.folder import copies, find_again
from ricorso.tasks.generate.model import TextModel, total_loss, total_loss_of_stream, write
from ricorso.tasks.generate.work import WINDOW, TextWork
from ricorso.training.listener import Listener


class Generator(Estimator[GenerateConfig, TextData, TextModel]):
    """A language model of one text: `fit` it, let it `generate`.

    The options are those of GenerateConfig; `cell` may also be a Cell of your own, or `file.py:Name`.

    Fitted attributes: those of every task, and `vocabulary_`. Raises UsageError for an unknown option.

    >>> Generator(cell="carry", hidden_size=64)
    Generator(cell='carry', hidden_size=64)
    """

    task: ClassVar[str] = "generate"
    config_type = GenerateConfig
    needed = (bundle.CONFIG, bundle.CELL, bundle.VOCABULARY)
    vocabulary_: Vocabulary

    def fit(
        self,
        text: str | Path,
        validation: str | Path | None = None,
        *,
        out: str | Path | None = None,
        listener: Listener | None = None,
    ) -> Self:
        """Train on a text or a text file, and keep the weights that did best on the validation text.

        validation: a text or file of its own; left out, the end of `text`. out: a new run folder; left out, nothing is
        written. Started by torchrun, the processes share every batch, and the first of them writes.
        Raises UsageError for an option that cannot be used, DataError for a text that cannot, TrainingError when
        training diverges, the disk refuses or a process is lost, TrainingInterrupted on Ctrl-C.
        """

        def read(config: GenerateConfig) -> tuple[TextData, Mapping[str, bytes]]:
            source = read_source(text, config.encoding)
            held_out = None if validation is None else read_source(validation, config.encoding)
            data = prepare(source, held_out, config)
            self.vocabulary_ = data.vocabulary
            self.data_ = {
                "text": source.fingerprint,
                "validation": held_out.fingerprint if held_out else None,
            }
            return data, copies(source, held_out)

        return self._fit(read, out, listener)

    @classmethod
    def resume(
        cls,
        folder: str | Path,
        text: str | Path | None = None,
        validation: str | Path | None = None,
        *,
        listener: Listener | None = None,
    ) -> Self:
        """Go on with a training that was stopped or killed, to the result it would have had; a finished one is loaded.

        text, validation: where the texts are now, if they were moved. Raises RunError when the folder is damaged, is
        held by another process, or the text is another one; and what `fit` raises.
        """
        run = Path(folder)

        def read(self: Self, known: dict[str, Any]) -> TextData:
            source = find_again(run / bundle.TEXT, text, known["text"], self.config_)
            held_out = None
            if known["validation"]:
                held_out = find_again(run / bundle.VALIDATION_TEXT, validation, known["validation"], self.config_)
            return prepare(source, held_out, self.config_, self.vocabulary_)

        return cls._resume(run, read, listener)

    # --- what every task brings

    def _read(self, folder: Path) -> None:
        _ = self.data_["text"], self.data_["validation"]
        self.vocabulary_ = read_vocabulary(bundle.read_json(folder / bundle.VOCABULARY))

    def _files(self) -> dict[str, bytes]:
        return {bundle.VOCABULARY: bundle.to_json(self.vocabulary_.to_json())}

    def _make(self, cell: Cell) -> TextModel:
        return TextModel(cell, len(self.vocabulary_), self.config_)

    def _work(self, data: TextData) -> TextWork:
        return TextWork(self.model_, data, self.config_)

    def _measures(self, data: TextData) -> bool:
        return len(data.validation) > 0

    def _facts(self, data: TextData, work: TextWork) -> dict[str, Any]:
        return {
            "vocabulary": len(self.vocabulary_),
            "training_symbols": len(data.train),
            "validation_symbols": len(data.validation),
            "about": f"{len(self.vocabulary_):,} different symbols; {len(data.train):,} symbols to train on, "
            f"{len(data.validation):,} to validate on",
        }

    # --- writing and measuring

    def generate(
        self,
        prompt: str = "",
        length: int = 500,
        *,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        unknown: Literal["error", "drop"] = "error",
    ) -> str:
        """Text that goes on from the prompt (without it), `length` symbols: characters, bytes or BPE tokens.

        temperature 0 takes the likeliest symbol each time; top_k and top_p leave the unlikely ones out; the same seed
        writes the same text. unknown: what becomes of characters in the prompt that the model has never seen.
        Raises UsageError for such characters (unless they are to be dropped) and for values out of range.
        """
        return "".join(
            self.stream(prompt, length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed, unknown=unknown)
        )

    def stream(
        self,
        prompt: str = "",
        length: int = 500,
        *,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        unknown: Literal["error", "drop"] = "error",
    ) -> Iterator[str]:
        """The text of `generate` piece by piece, as it is written; arguments are checked at once."""
        self._check_fitted()
        model, vocabulary = self.model_, self.vocabulary_
        if length < 0:
            raise UsageError(f"length must be 0 or more, got {length}.")
        if unknown not in ("error", "drop"):
            raise UsageError(f"unknown must be 'error' or 'drop', got {unknown!r}.")
        sampler = Sampler(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
        ids = _prompt_ids(vocabulary, prompt, drop=unknown == "drop")
        return (piece for piece in write(model, vocabulary, ids, length, sampler) if piece)

    def evaluate(self, text: str | Path, *, stateful: bool = False) -> dict[str, Any]:
        """Measure the model on a text or a text file.

        Each window of 256 symbols starts from a zero state and every symbol but the first is a target once.
        Returns nats_per_symbol (mean over the targets), bits_per_character, perplexity (a symbol), symbols (targets),
        characters, unknown (share of symbols that the model has never seen) and window. stateful: adds `stateful`, the
        same figures for one pass that carries the state from start to end; slower, and never to be compared with the
        other. Raises DataError for a text of fewer than two symbols.
        """
        self._check_fitted()
        model, vocabulary = self.model_, self.vocabulary_
        source = read_source(text, self.config_.encoding)
        ids = vocabulary.encode(source.text)
        if len(ids) < 2:
            raise DataError("The text has one symbol only; measuring needs at least 2.")
        characters = len(source.text) - len(vocabulary.decode(ids[:1]))
        unknown = float(np.mean(ids == vocabulary.unknown_id)) if vocabulary.unknown_id is not None else 0.0
        with threads(self.config_.threads):
            result = _figures(*total_loss(model, ids, WINDOW), characters) | {"unknown": unknown, "window": WINDOW}
            if stateful:
                result["stateful"] = _figures(*total_loss_of_stream(model, ids), characters)
        return result


def _figures(total: float, targets: int, characters: int) -> dict[str, Any]:
    nats = total / targets
    return {
        "nats_per_symbol": nats,
        "bits_per_character": total / math.log(2) / characters,
        "perplexity": math.exp(min(nats, 700.0)),
        "symbols": targets,
        "characters": characters,
    }


def _prompt_ids(vocabulary: Vocabulary, prompt: str, drop: bool) -> Ids:
    unknown = vocabulary.unknown_in(prompt)
    if unknown and not drop:
        named = ", ".join(describe_character(symbol) for symbol in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise UsageError(
            f"The model has never seen these characters of the prompt: {named}{more}. "
            f"Leave them out, or pass unknown='drop'."
        )
    ids = vocabulary.encode(prompt)
    if unknown:
        ids = ids[ids != vocabulary.unknown_id]
    return ids if len(ids) else np.array([vocabulary.start_id], np.int32)
