"""A look inside a model: what arrives of its gradient, what its gates do, what its units follow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from torch.nn import functional

from ricorso import bundle
from ricorso.engine.team import threads
from ricorso.errors import DataError, RunError, UsageError
from ricorso.insight.gates import Gates, gates
from ricorso.insight.keep import loops
from ricorso.insight.passage import LONGEST, Examples, Passage, of_classifier, of_tagger, take
from ricorso.insight.profile import Profile, profile, profile_work
from ricorso.insight.reach import Reach, reach, reach_direct
from ricorso.insight.saliency import Saliency, saliency
from ricorso.insight.trace import traced
from ricorso.insight.units import Activity, Follower
from ricorso.insight.verdict import Setting, Verdict, judge, worst
from ricorso.tasks import load
from ricorso.tasks.classify.task import Classifier, _digest
from ricorso.tasks.estimator import Estimator
from ricorso.tasks.generate.data import read_source
from ricorso.tasks.generate.folder import find_again
from ricorso.tasks.generate.task import Generator
from ricorso.tasks.tag.task import Tagger, _again

STEPS = 200
CONTEXT = 120


@dataclass(frozen=True)
class Inspection:
    """What was found; lists have an entry for each layer, from the first, and for each direction.

    text: what was read. nats: the mean loss at the ends of the windows of a text. followers: for each property of a
    text the unit that follows it; unit: the one that was asked for, if any. examples: the whole sequences that a
    classifier or a tagger read; None for a text model.
    """

    cell: str
    text: dict[str, Any]
    nats: float | None
    reach: list[Reach]
    verdicts: list[Verdict]
    gates: list[Gates]
    followers: list[Follower]
    unit: Follower | None
    saliency: Saliency
    profile: Profile
    examples: Examples | None = None

    @property
    def verdict(self) -> str:
        """One word for the model."""
        return worst(self.verdicts)

    @property
    def advice(self) -> list[list[str]]:
        """For each layer what to change; of whole sequences what was said of a layer before is not said again."""
        lines = [verdict.advice for verdict in self.verdicts]
        if self.examples is None:
            return lines
        return [[line for line in own if line not in chain(*lines[:n])] for n, own in enumerate(lines)]

    @property
    def read(self) -> str:
        """What was read, in words."""
        path = self.text["path"]
        if self.examples is None:
            return f"{self.text['symbols']:,} symbols of {Path(path).name if path else 'a text'}"
        one, several, step, count = self.examples.one, self.examples.several, self.examples.step, self.text["read"]
        called = f"{count} {one if count == 1 else several}"
        if count < self.text["total"]:
            called = f"the longest {one}" if count == 1 else f"the {count} longest {several}"
        least, most = self.text["shortest"], self.text["longest"]
        sizes = f"{least} {step}s" if least == most else f"{least} to {most} {step}s"
        source = f" of {Path(path).name}" if path else ""
        cut = f", of longer ones the first {LONGEST:,}" if most == LONGEST else ""
        return f"{called}{source}, {sizes}{cut}"

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        layers = [
            found.to_json() | {"verdict": verdict.to_json(), "gates": gate.to_json()}
            for found, verdict, gate in zip(self.reach, self.verdicts, self.gates, strict=True)
        ]
        own: dict[str, Any] = {"cell": self.cell}
        if self.examples is None:
            own |= {"text": self.text, "nats": self.nats, "verdict": self.verdict, "layers": layers}
            own["followers"] = [follower.to_json() for follower in self.followers]
        else:
            own |= {"data": self.text, "followed": self.examples.followed, "verdict": self.verdict, "layers": layers}
        return own | {"saliency": self.saliency.to_json(), "profile": self.profile.to_json()}


def inspect(
    model: Estimator[Any, Any, Any] | str | Path,
    text: Any = None,
    *,
    steps: int = STEPS,
    unit: int | None = None,
    prompt: str | None = None,
    seed: int = 0,
) -> Inspection:
    """Look into a model while it reads.

    model: a Generator, Classifier or Tagger, or its run folder. text: for a Generator a text or a file, for the others
    what `predict` takes; left out, what the run kept for validation. steps: how far back the gradient is followed.
    unit: of the top layer of a text model, to be shown over the text. prompt: explain what a Generator expects after
    it, or the label or tags of it; left out, of a piece of what is read. seed: where in a long text to look, or which
    example to explain.
    Raises UsageError for arguments that cannot be used, DataError for data that cannot, RunError for a damaged run.

    >>> from ricorso import Generator
    >>> model = Generator(cell="gru", hidden_size=8, epochs=1, batch_size=2).fit("to be or not to be\\n" * 30)
    >>> found = inspect(model, "not to be or to be\\n" * 10, steps=20)
    >>> found.verdict in ("vanishing", "healthy", "exploding")
    True
    """
    if steps < 2:
        raise UsageError(f"steps must be 2 or more, got {steps}.")
    known = model if isinstance(model, Estimator) else load(model)
    if not isinstance(known, Generator | Classifier | Tagger):
        raise UsageError(f"Models that generate, classify or tag can be looked into; this one is of '{known.task}'.")
    if not hasattr(known, "model_"):
        raise UsageError(
            f"This {type(known).__name__} has not learnt anything yet; call fit first, or give a run folder."
        )
    config = known.config_
    with threads(config.threads):
        if isinstance(known, Generator):
            recurrent = known.model_.recurrent
            source = own_text(known) if text is None else read_source(text, config.encoding)
            units = recurrent.hidden_size * recurrent.num_layers
            passage = take(source.text, known.vocabulary_, steps, units, seed)
            return _look(known, passage, source.path, known.vocabulary_.encode(source.text), unit, prompt, seed)
        if unit is not None:
            raise UsageError("unit shows a text coloured by a unit of a text model; leave it out for this one.")
        if isinstance(known, Classifier):
            inputs, path = own_examples(known) if text is None else (known._inputs(text), _path(text))
            return _look_whole(known, of_classifier(known, inputs, path, prompt, seed), steps, seed)
        sequences, path = own_sequences(known) if text is None else (known.sequences(text), _path(text))
        return _look_whole(known, of_tagger(known, sequences, path, prompt, seed), steps, seed)


def _look_whole(model: Classifier | Tagger, examples: Examples, steps: int, seed: int) -> Inspection:
    config = model.config_
    copied, layer = traced(model.model_)
    scores = examples.scores(copied)
    found: dict[tuple[int, bool], Reach] = {}
    for reverse in (False, True)[: len(layer.directions)]:
        reaches = reach(layer, examples.ends(layer, scores, reverse), reverse, steps)
        if examples.direct is not None:
            curves = reach_direct(layer, examples.direct(scores), reverse, steps)
            reaches = [replace(own, direct=curve) for own, curve in zip(reaches, curves, strict=True)]
        found |= {(own.layer, reverse): own for own in reaches}
    reaches = [found[trace.number, trace.reverse] for trace in layer.layers]
    found_gates = [gates(trace, own.layer, own.direction) for trace, own in zip(layer.layers, reaches, strict=True)]
    keeps, typical = bool(loops(layer.layers[0].cell)), examples.typical
    whole = f"half of the {examples.several} have {typical} {examples.step}s or more"
    assert config.learning_rate is not None
    setting = Setting(config.cell, keeps, typical, config.clip, config.learning_rate, whole, examples.beyond)
    return Inspection(
        config.cell,
        examples.facts(),
        None,
        reaches,
        [judge(own, setting, gate) for own, gate in zip(reaches, found_gates, strict=True)],
        found_gates,
        [],
        None,
        examples.explain(),
        profile_work(model.model_, examples.work, config, seed),
        examples,
    )


def _look(
    generator: Generator,
    passage: Passage,
    path: Path | None,
    ids: np.ndarray[Any, Any],
    unit: int | None,
    prompt: str | None,
    seed: int,
) -> Inspection:
    config, model = generator.config_, generator.model_
    copied, layers = traced(model, last_only=True)
    scores, _ = copied(passage.inputs, passage.starts(model))
    losses = functional.cross_entropy(scores, passage.targets, reduction="none")
    reaches = reach(layers, losses)
    found_gates = [gates(trace, number) for number, trace in enumerate(layers.layers, 1)]
    cell = layers.layers[0].cell
    assert config.sequence_length is not None
    assert config.learning_rate is not None
    setting = Setting(config.cell, bool(loops(cell)), config.sequence_length, config.clip, config.learning_rate)
    activity = Activity(layers.layers, passage)
    text = {"path": str(path) if path else None, "symbols": len(passage.ids), "windows": passage.windows}
    return Inspection(
        config.cell,
        text | {"steps": passage.steps},
        float(losses.detach().mean()),
        reaches,
        [judge(found, setting, gate) for found, gate in zip(reaches, found_gates, strict=True)],
        found_gates,
        activity.followers(),
        None if unit is None else activity.unit(unit),
        _explained(generator, passage, prompt),
        profile(model, ids, config, seed),
    )


def _explained(generator: Generator, passage: Passage, prompt: str | None) -> Saliency:
    model, vocabulary = generator.model_, generator.vocabulary_
    if prompt is None:
        length = min(CONTEXT, len(passage.ids) - 1)
        return saliency(model, vocabulary, passage.ids[:length], int(passage.ids[length]))
    ids = vocabulary.encode(prompt)
    if not len(ids):
        raise UsageError("The prompt is empty; give the text after which the model's expectation is to be explained.")
    return saliency(model, vocabulary, ids)


def own_text(generator: Generator) -> Any:
    """The text that a run was validated on, else the end of the one it was trained on.

    Raises DataError where neither can be found again.
    """
    run, config, facts = generator.run_, generator.config_, generator.data_
    name, kind = (bundle.VALIDATION_TEXT, "validation") if facts["validation"] else (bundle.TEXT, "text")
    try:
        source = find_again((run or Path()) / name, None, facts[kind], config)
    except (DataError, RunError) as error:
        raise DataError(f"The run's own text is not at hand ({error}) Name one: ricorso inspect RUN TEXT.") from error
    if kind == "text" and config.validation_fraction:
        cut = int(len(source.text) * (1 - config.validation_fraction))
        return type(source)(source.text[cut:], source.path)
    return source


def _path(data: Any) -> str | None:
    return str(data) if isinstance(data, str | Path) and str(data) != "-" else None


def own_examples(classifier: Classifier) -> tuple[Sequence[Any], str | None]:
    """What a classifier was validated on, else what it was trained on, and the file."""
    known = classifier.data_
    try:
        if known["path"] is None:
            raise DataError("They were in no file.")
        train, validation = classifier._split(classifier.config_, known["path"], None, known["valid"])
        if _digest(train) != known["sha256"]:
            raise DataError(f"Those in {known['path']} are others than in training.")
    except DataError as error:
        raise _not_at_hand("examples", error) from error
    return (validation or train).inputs, known["valid"] or known["path"]


def own_sequences(tagger: Tagger) -> tuple[list[Any], str | None]:
    """What a tagger was validated on, else what it was trained on, and the file."""
    train, valid = tagger.data_["train"], tagger.data_["validation"]
    path = (valid or train)["path"]
    if tagger.held_out_ is not None:
        return tagger.sequences(tagger.held_out_.sequences), path
    try:
        whole = _again(None, train, tagger.config_, tagger.run_ or "")
        held_out = _again(None, valid, tagger.config_, tagger.run_ or "") if valid else None
    except (DataError, RunError) as error:
        raise _not_at_hand("sequences", error) from error
    data = tagger._split(whole, held_out)
    return tagger.sequences((data.validation or data.train).sequences), path


def _not_at_hand(what: str, error: Exception) -> DataError:
    return DataError(f"The run's own {what} are not at hand ({error}) Name some: ricorso inspect RUN DATA.")
