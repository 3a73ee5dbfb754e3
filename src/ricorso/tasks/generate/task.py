"""Generator: learns a text symbol by symbol and writes more of it."""

import contextlib
import inspect
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch

from ricorso import bundle
from ricorso.cells import CATALOGUE
from ricorso.cells.file import resolve_cell
from ricorso.data.text import describe_character
from ricorso.data.vocabulary import Ids, Vocabulary
from ricorso.decoding.sample import Sampler
from ricorso.engine.team import threads
from ricorso.equations import Cell, portable
from ricorso.errors import DataError, RunError, TrainingError, UsageError
from ricorso.tasks.generate.config import GenerateConfig
from ricorso.tasks.generate.data import TextData, prepare, read_source
from ricorso.tasks.generate.folder import NEEDED, copies, create, describe, find_again, read_settings
from ricorso.tasks.generate.model import TextModel, total_loss, total_loss_of_stream, write
from ricorso.tasks.generate.work import WINDOW, TextWork
from ricorso.training.checkpoint import Snapshot, newest_checkpoint
from ricorso.training.interrupt import StopRequest, TrainingInterrupted, listening
from ricorso.training.listener import Listener
from ricorso.training.log import read_log, to_lines
from ricorso.training.loop import Plan, Training
from ricorso.training.ranks import Ranks, of_environment
from ricorso.training.schedule import Budget


class Generator:
    """A language model of one text: `fit` it, let it `generate`.

    The options are those of GenerateConfig; `cell` may also be a Cell of your own, or `file.py:Name`.

    Fitted attributes: `config_`, `vocabulary_`, `model_`, `metrics_` (what was recorded while training), `best_` (step
    and validation loss), `data_` (fingerprints of the texts), `run_` (the run folder, or None).
    Raises UsageError for an unknown option.

    >>> Generator(cell="carry", hidden_size=64)
    Generator(cell='carry', hidden_size=64)
    """

    task: ClassVar[str] = "generate"
    config_: GenerateConfig
    vocabulary_: Vocabulary
    model_: TextModel
    metrics_: list[dict[str, Any]]
    best_: dict[str, Any]
    data_: dict[str, Any]
    run_: Path | None

    def __init__(self, **options: Any) -> None:
        GenerateConfig.check_names(options)
        for name, field in GenerateConfig.model_fields.items():
            setattr(self, name, options.get(name, field.default))

    # --- settings

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Every option with its value, as scikit-learn wants it."""
        return {name: getattr(self, name) for name in GenerateConfig.model_fields}

    def set_params(self, **options: Any) -> Self:
        """Change options. Raises UsageError for an unknown one."""
        GenerateConfig.check_names(options)
        for name, value in options.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        fields = GenerateConfig.model_fields
        changed = [f"{name}={value!r}" for name, value in self.get_params().items() if value != fields[name].default]
        return f"Generator({', '.join(changed)})"

    # --- training

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
        ranks = of_environment()
        folder = Path(out) if out is not None else None
        if folder and ranks.first:
            bundle.check_free(folder)
        cell = resolve_cell(self.get_params()["cell"])
        config = GenerateConfig.of(self.get_params() | {"cell": cell.name}).resolved()
        with listening() as stop:
            source = read_source(text, config.encoding)
            held_out = None if validation is None else read_source(validation, config.encoding)
            data = prepare(source, held_out, config)
            with _reproducible(config):
                self._build(config, cell, data.vocabulary)
                self.data_ = {
                    "text": source.fingerprint,
                    "validation": held_out.fingerprint if held_out else None,
                }
                if folder and ranks.first:
                    files = describe(config, cell, data.vocabulary, self.data_)
                    create(folder, files | copies(source, held_out))
                with bundle.locked(folder) if folder and ranks.first else contextlib.nullcontext():
                    self._train(data, folder, stop, listener or Listener(), ranks)
        return self

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
        folder = Path(folder)
        ranks = of_environment()
        bundle.verify(folder, NEEDED, others=False)
        checkpoints = folder / bundle.CHECKPOINTS
        with bundle.locked(folder) if ranks.first else contextlib.nullcontext(), listening() as stop:
            snapshot = newest_checkpoint(checkpoints)
            if (folder / bundle.MODEL).exists() and (snapshot is None or snapshot.cursor.finished):
                return cls.load(folder)
            ranks.wait()
            if ranks.first:
                bundle.remove_unfinished(folder)
                bundle.remove_unfinished(checkpoints)
            facts, config, cell, vocabulary = read_settings(folder)
            source = find_again(folder / bundle.TEXT, text, facts["data"]["text"], config)
            held_out = None
            if facts["data"]["validation"]:
                held_out = find_again(folder / bundle.VALIDATION_TEXT, validation, facts["data"]["validation"], config)
            self = cls(**config.model_dump()).set_params(cell=_as_given(cell))
            with _reproducible(config):
                self._build(config, cell, vocabulary)
                self.data_ = facts["data"]
                data = prepare(source, held_out, config, vocabulary)
                self._train(data, folder, stop, listener or Listener(), ranks, snapshot)
        return self

    def _build(self, config: GenerateConfig, cell: Cell, vocabulary: Vocabulary) -> None:
        self.config_, self.vocabulary_, self.run_ = config, vocabulary, None
        try:
            self.model_ = TextModel(cell, len(vocabulary), config)
        except (MemoryError, RuntimeError) as error:
            raise UsageError(
                f"A model of {config.num_layers} x {config.hidden_size} units over {len(vocabulary)} symbols cannot be "
                f"made ({error}). Use a smaller hidden_size."
            ) from error

    def _train(
        self,
        data: TextData,
        folder: Path | None,
        stop: StopRequest,
        listener: Listener,
        ranks: Ranks,
        snapshot: Snapshot | None = None,
    ) -> None:
        if not ranks.first:
            listener = Listener()
        work = TextWork(self.model_, data, self.config_)
        plan = _plan(self.config_, work, len(data.validation))
        training = Training(work, plan, stop, listener, folder, ranks)
        self.run_, self.metrics_ = folder, training.log.lines
        if snapshot:
            training.restore(snapshot)
            self.metrics_ = training.log.lines
        listener.on_start(self._facts(data, work, plan))
        try:
            training.run()
        except TrainingInterrupted:
            self._keep(training)
            raise
        self._keep(training)
        listener.on_end({"run": folder, "path": self.model_.recurrent.path, **self.best_})

    def _facts(self, data: TextData, work: TextWork, plan: Plan) -> dict[str, Any]:
        return {
            "task": self.task,
            "run": self.run_,
            "cell": self.config_.cell,
            "parameters": sum(p.numel() for p in self.model_.parameters()),
            "vocabulary": len(self.vocabulary_),
            "training_symbols": len(data.train),
            "validation_symbols": len(data.validation),
            "batch_size": work.examples,
            "batches_per_epoch": work.batches_per_epoch,
            "steps": plan.budget.steps,
            "seconds": plan.budget.seconds,
            "threads": torch.get_num_threads(),
        }

    def _keep(self, training: Training) -> None:
        cursor = training.cursor
        self.best_ = {
            "steps": cursor.step,
            "epochs": cursor.epoch,
            "seconds": round(cursor.seconds, 3),
            "skipped": cursor.skipped,
            "best_step": cursor.best_step,
            "validation_loss": cursor.best_loss,
        }
        if not training.ranks.first:
            return
        try:
            training.log.add("end", {"step": cursor.step, **self.best_})
            if self.run_:
                bundle.write_file(self.run_ / bundle.MODEL, self._weights())
                bundle.seal(self.run_)
        except OSError as error:
            raise TrainingError(
                f"The model could not be written to '{self.run_}' ({error.strerror}); its weights are in the last "
                f"checkpoint. Make room, then: ricorso resume {self.run_}"
            ) from error

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
        model, vocabulary = self._fitted()
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
        model, vocabulary = self._fitted()
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

    def _fitted(self) -> tuple[TextModel, Vocabulary]:
        if not hasattr(self, "model_"):
            raise UsageError("This Generator has not learnt anything yet; call fit first, or ricorso.load a run.")
        return self.model_, self.vocabulary_

    # --- keeping

    def save(self, folder: str | Path) -> Path:
        """Write the model as a run folder, which must be new or empty, and return its path.

        Raises UsageError when the folder is in use, RunError when the disk refuses.
        """
        self._fitted()
        files = describe(self.config_, self.model_.recurrent.cell, self.vocabulary_, self.data_)
        files[bundle.MODEL] = self._weights()
        if self.metrics_:
            files[bundle.METRICS] = to_lines(self.metrics_)
        create(Path(folder), files)
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The model of a run folder, verified. Raises RunError when it is damaged, too new, or holds no model yet."""
        folder = Path(folder)
        names = bundle.verify(folder, NEEDED)
        if bundle.MODEL not in names:
            raise RunError(
                f"'{folder}' holds no model yet: its training was cut off. Go on with: ricorso resume {folder}"
            )
        facts, config, cell, vocabulary = read_settings(folder)
        self = cls(**config.model_dump()).set_params(cell=_as_given(cell))
        try:
            with torch.device("meta"):
                self._build(config, cell, vocabulary)
        except UsageError as error:
            raise RunError(f"The settings of '{folder}' cannot be used: {error}") from error
        shapes = {name: tuple(t.shape) for name, t in self.model_.state_dict().items()}
        arrays = bundle.read_tensors(folder / bundle.MODEL, shapes)
        self.model_.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()}, assign=True)
        self.model_.eval()
        self.run_, self.data_ = folder, facts["data"]
        self.metrics_ = read_log(folder / bundle.METRICS) if bundle.METRICS in names else []
        ends = [line for line in self.metrics_ if line.get("kind") == "end"]
        self.best_ = {name: value for name, value in ends[-1].items() if name not in ("kind", "step")} if ends else {}
        return self

    def _weights(self) -> bytes:
        return bundle.to_safetensors({name: t.numpy() for name, t in self.model_.state_dict().items()})


Generator.__init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.annotation)
            for name, field in GenerateConfig.model_fields.items()
        ),
    ]
)


def _as_given(cell: Cell) -> Cell | str:
    """What to give as the option `cell` to have this one: its name, where the catalogue knows it."""
    known = CATALOGUE.get(cell.name)
    return cell.name if known and portable.to_json(known) == portable.to_json(cell) else cell


def _plan(config: GenerateConfig, work: TextWork, validation_symbols: int) -> Plan:
    return Plan(
        config,
        budget=Budget(
            steps=-(-config.epochs * work.batches_per_epoch // config.accumulate) if config.epochs else None,
            seconds=config.minutes * 60 if config.minutes else None,
        ),
        validations=config.validations if validation_symbols else 0,
        samples=config.samples,
    )


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


@contextlib.contextmanager
def _reproducible(config: GenerateConfig) -> Iterator[None]:
    """Within the block torch draws from the config's seed with its threads; afterwards everything is as before."""
    with torch.random.fork_rng(devices=[]), threads(config.threads):
        torch.manual_seed(config.seed)
        yield
