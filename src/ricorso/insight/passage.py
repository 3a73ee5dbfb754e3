"""What a model reads while it is looked into.

Of a text, windows side by side, each going on where the one before ended; of whole sequences, the longest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ricorso.data.vocabulary import Vocabulary
from ricorso.errors import DataError, UsageError
from ricorso.insight.reach import log_odds
from ricorso.insight.saliency import Saliency, labelled, tagged
from ricorso.insight.trace import Traced
from ricorso.tasks.classify.data import ClassifyData, Encoded
from ricorso.tasks.classify.task import Classifier
from ricorso.tasks.classify.work import ClassifyWork
from ricorso.tasks.tag.data import Batches, Labelled, TagData
from ricorso.tasks.tag.task import Tagger
from ricorso.tasks.tag.work import TagWork
from ricorso.training.loop import Work

WINDOWS = 32
LEAST = 32
# numbers of one state over all steps and windows, layers together; the graph holds some thirty times as many
_MOST_NUMBERS = 4_000_000
# of whole sequences: steps that the longest has to have, steps of each that are read, and how many are timed
FEWEST, LONGEST, TIMED = 5, 2000, 512


@dataclass(frozen=True)
class Passage:
    """Windows of a text.

    ids: (windows * steps + 1), the symbols in order, with the one that follows the last. pieces: the text of each.
    """

    ids: NDArray[np.int64]
    pieces: list[str]
    steps: int

    @property
    def windows(self) -> int:
        return (len(self.ids) - 1) // self.steps

    @cached_property
    def inputs(self) -> Tensor:
        """(steps, windows)"""
        return torch.from_numpy(self.ids[:-1].reshape(self.windows, self.steps).T.copy())

    @property
    def targets(self) -> Tensor:
        """The symbol after each window, (windows)."""
        return torch.from_numpy(self.ids[self.steps :: self.steps].copy())

    def in_order(self, values: Tensor) -> Tensor:
        """Values of all steps, (steps, windows, ...), in the order of the text, (symbols, ...)."""
        return values.transpose(0, 1).flatten(0, 1)

    @torch.no_grad()
    def starts(self, model: Any) -> Any:
        """The states of a model before each window, as it reads the text from the beginning."""
        state: Any = None
        found: list[Any] = []
        for window in self.inputs.T:
            _, after = model(window[:, None], state)
            found.append(state)
            state = after
        empty = _map(torch.zeros_like, state)
        return _map(lambda *parts: torch.cat(parts, 1), *(empty if s is None else s for s in found))


def _map(change: Any, *states: Any) -> Any:
    """`change` over states that are one tensor or a tuple of them each."""
    if isinstance(states[0], Tensor):
        return change(*states)
    return tuple(change(*parts) for parts in zip(*states, strict=True))


def take(text: str, vocabulary: Vocabulary, steps: int, units: int, seed: int = 0) -> Passage:
    """Windows of `steps` symbols from a text; where it is longer, from a paragraph or line that the seed chooses.

    units: of all layers together; fewer windows are taken of a model so large that the memory would not do.
    Raises DataError for a text of fewer than 32 symbols.
    """
    ids = vocabulary.encode(text).astype(np.int64)
    if len(ids) <= LEAST:
        raise DataError(
            f"The text has {len(ids)} symbols; looking into a model needs more than {LEAST}. Name a longer one."
        )
    steps = min(steps, len(ids) - 1)
    most = max(2, min(WINDOWS, _MOST_NUMBERS // (steps * units)))
    windows = min(most, (len(ids) - 1) // steps)
    length = windows * steps + 1
    begin = int(np.random.default_rng(seed).choice(_beginnings(ids, len(ids) - length, vocabulary)))
    chosen = ids[begin : begin + length]
    decoder = vocabulary.decoder()
    return Passage(chosen, [decoder.push(int(symbol)) for symbol in chosen], steps)


def _beginnings(ids: NDArray[np.int64], last: int, vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Places up to `last` where paragraphs begin; else where lines do; every place of a text without lines."""
    end_of_line = ids == vocabulary.encode("\n")[0]
    if not end_of_line.any():
        return np.arange(last + 1)
    lines = np.append(0, np.flatnonzero(end_of_line[:last]) + 1)
    paragraphs = [line for line in lines if line > 1 and end_of_line[line - 2]]
    return np.array(paragraphs, np.int64) if paragraphs else lines


@dataclass(frozen=True)
class Examples:
    """Whole sequences, the longest side by side, and what there is to ask a model of the task about them.

    path: the file they are from. total, typical: how many there were, and the steps that half of them have or more.
    lengths: of those that are read, (read). one, several, step: what a sequence, sequences and steps are called.
    followed: of what the gradient is, in words. beyond: what it means that it does not reach far. scores: those
    of a copy of the model. ends: of the scores and the traced layer, the number (read) whose gradient is followed from
    the end that layers read last in a direction; direct: the same, if it also reads every step directly. work: the
    training of a copy of the model. explain: what a prediction came from.
    """

    path: str | None
    total: int
    typical: int
    lengths: Tensor
    one: str
    several: str
    step: str
    followed: str
    beyond: str
    scores: Callable[[nn.Module], Tensor]
    ends: Callable[[Traced, Tensor, bool], Tensor]
    direct: Callable[[Tensor], Tensor] | None
    work: Callable[[nn.Module], Work]
    explain: Callable[[], Saliency]

    def facts(self) -> dict[str, Any]:
        """What is read, as plain data."""
        return {
            "path": self.path,
            "total": self.total,
            "typical": self.typical,
            "read": len(self.lengths),
            "steps": int(self.lengths.sum()),
            "shortest": int(self.lengths.min()),
            "longest": int(self.lengths.max()),
            "called": {"one": self.one, "several": self.several, "step": self.step},
        }


def of_classifier(
    classifier: Classifier, inputs: Sequence[Any], path: str | None, prompt: str | None, seed: int
) -> Examples:
    """Texts or recordings, as a classifier reads them, and the file they are from.

    prompt: the text to explain; left out, one of the examples, which the seed chooses.
    Raises DataError for data that cannot be used, UsageError for a prompt to a model of recordings.
    """
    coding, model, config = classifier.coding_, classifier.model_, classifier.config_
    is_text = coding.vocabulary is not None
    step = {"word": "word", "character": "character"}.get(config.level or "", "symbol") if is_text else "step"
    one, several = ("text", "texts") if is_text else ("recording", "recordings")
    steps = classifier._steps(inputs)
    sizes = [len(own) for own in steps]
    chosen = _longest(sizes, model, several, step)
    batch = classifier._without_labels([steps[n][:LONGEST] for n in chosen]).batch(np.arange(len(chosen)))
    counted = None if batch.counted is None else batch.counted.double()

    def scores(copied: nn.Module) -> Tensor:
        found: Tensor = copied(batch.steps, batch.lengths, counted)
        return found

    def ends(layer: Traced, scores: Tensor, reverse: bool) -> Tensor:
        # all that pooling asks of the outputs, asked of the output that is computed last
        (asked,) = torch.autograd.grad(log_odds(scores, coding.several).sum(), layer.output, retain_graph=True)
        return (layer.last(reverse) * layer.of(asked.sum(0), reverse)).sum(-1)

    def work(copied: nn.Module) -> Work:
        own = _enough(steps, config.batch_size)
        known = classifier._without_labels(own)
        timed = Encoded(known.steps, classifier._chosen(classifier._probabilities(own)), known.counted)
        whole = config.model_copy(update={"unfreeze_epochs": 0})
        return ClassifyWork(copied, ClassifyData(timed, None), whole)  # type: ignore[arg-type]

    def explain() -> Saliency:
        if prompt is None:
            return labelled(classifier, inputs[_to_show(sizes, seed)])
        _check_prompt(prompt, is_text)
        return labelled(classifier, prompt)

    pools = [kind for kind in config.pooling if kind != "last"]
    names = " and ".join(pools)
    beyond = (
        f"pooling: {names} read{'s' * (len(pools) == 1)} every {step} directly, so that what single {step}s say is "
        f"learnt all the same; what hangs on {step}s further apart is not, as the model is now."
        if pools
        else f"pooling: last, max and mean together read every {step} directly too."
    )
    followed = f"the log-odds of the likeliest label, handed to the output of the last {step}"
    return Examples(
        path, len(inputs), int(np.median(sizes)), batch.lengths, one, several, step, followed, beyond, scores, ends,
        (lambda found: log_odds(found, coding.several)) if pools else None, work, explain,
    )  # fmt: skip


def of_tagger(tagger: Tagger, sequences: list[Any], path: str | None, prompt: str | None, seed: int) -> Examples:
    """Sentences or series, as a tagger reads them, and the file they are from.

    prompt: the sentence to explain; left out, one of the sentences, which the seed chooses.
    Raises DataError for data that cannot be used, UsageError for a prompt to a model of series.
    """
    model, inputs, tags = tagger.model_, tagger._inputs, tagger._tags
    is_text = tagger.reads_words
    one, several, step = ("sentence", "sentences", "word") if is_text else ("series", "series", "step")
    sequences = [own[:LONGEST] for own in sequences if len(own)]
    sizes = [len(own) for own in sequences]
    chosen = _longest(sizes, model, several, step)
    batch = Batches(inputs.encode([sequences[n] for n in chosen])).at(np.arange(len(chosen)))

    def scores(copied: nn.Module) -> Tensor:
        found: Tensor = copied(batch)
        return found

    def ends(layer: Traced, scores: Tensor, reverse: bool) -> Tensor:
        return log_odds(scores[0] if reverse else scores[batch.lengths - 1, torch.arange(len(chosen))])

    def work(copied: nn.Module) -> Work:
        own = _enough(sequences, tagger.config_.batch_size)
        known = Labelled(own, [tuple(found) for found in tagger.predict(own)])
        return TagWork(copied, TagData(known, None), inputs, tags, tagger.config_)  # type: ignore[arg-type]

    def explain() -> Saliency:
        if prompt is None:
            return tagged(tagger, sequences[_to_show(sizes, seed)])
        _check_prompt(prompt, is_text)
        return tagged(tagger, tagger.sequences([prompt])[0])

    beyond = (
        f"A tag that hangs on {step}s further away is not learnt, as the model is now; where neighbouring {step}s "
        "decide, nothing is missing."
    )
    apart = ", before whole sequences of tags are weighed" if model.crf is not None else ""
    followed = f"the log-odds of the likeliest tag of the last {step}{apart}"
    return Examples(
        path, len(sequences), int(np.median(sizes)), batch.lengths, one, several, step, followed, beyond, scores, ends,
        None, work, explain,
    )  # fmt: skip


def _longest(lengths: Sequence[int], model: Any, several: str, step: str) -> NDArray[np.int64]:
    """The numbers of the longest sequences; gradients are followed as far as the shortest of them goes, so that none
    is taken that has less than a quarter of the steps of the longest."""
    known = np.minimum(np.array(lengths, np.int64), LONGEST)
    longest = int(known.max(initial=0))
    if longest < FEWEST:
        raise DataError(
            f"The longest of the {len(known)} {several} has {longest} {step}s; looking into a model needs {FEWEST} or "
            "more. Name longer ones."
        )
    layer = model.recurrent
    units = layer.hidden_size * layer.num_layers * (2 if layer.bidirectional else 1)
    most = max(1, min(WINDOWS, _MOST_NUMBERS // (longest * units)))
    order = np.argsort(-known, kind="stable")[:most]
    return order[known[order] >= max(3, longest // 4)]


def _enough(sequences: list[Any], batch_size: int | None) -> list[Any]:
    """Sequences to time the training with: a batch at least, the same ones again where there are fewer."""
    own = sequences[:TIMED]
    return own * -(-(batch_size or 1) // len(own))


def _to_show(lengths: Sequence[int], seed: int) -> int:
    """One of the sequences that are long enough to tell something; the first for the seed 0."""
    enough = [n for n, length in enumerate(lengths) if length >= FEWEST]
    return enough[seed % len(enough)]


def _check_prompt(prompt: str, is_text: bool) -> None:
    if not is_text:
        raise UsageError("A prompt is for models that read texts; this one reads numbers. Leave it out.")
    if not prompt.strip():
        raise UsageError("The prompt is empty; give the text to explain.")
