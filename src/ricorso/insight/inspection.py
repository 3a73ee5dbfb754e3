"""A look inside a text model: what arrives of its gradient, what its gates do, what its units follow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.nn import functional

from ricorso import bundle
from ricorso.engine.team import threads
from ricorso.errors import DataError, RunError, UsageError
from ricorso.insight.gates import Gates, gates
from ricorso.insight.keep import loops
from ricorso.insight.passage import Passage, take
from ricorso.insight.profile import Profile, profile
from ricorso.insight.reach import Reach, reach
from ricorso.insight.saliency import Saliency, saliency
from ricorso.insight.trace import traced
from ricorso.insight.units import Activity, Follower
from ricorso.insight.verdict import Setting, Verdict, judge, worst
from ricorso.tasks import load
from ricorso.tasks.generate.data import read_source
from ricorso.tasks.generate.folder import find_again
from ricorso.tasks.generate.task import Generator

STEPS = 200
CONTEXT = 120


@dataclass(frozen=True)
class Inspection:
    """What was found; lists have an entry for each layer, from the first.

    text: what was read. nats: the mean loss at the ends of the windows. unit: the one that was asked for, if any.
    """

    cell: str
    text: dict[str, Any]
    nats: float
    reach: list[Reach]
    verdicts: list[Verdict]
    gates: list[Gates]
    followers: list[Follower]
    unit: Follower | None
    saliency: Saliency
    profile: Profile

    @property
    def verdict(self) -> str:
        """One word for the model."""
        return worst(self.verdicts)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "cell": self.cell,
            "text": self.text,
            "nats": self.nats,
            "verdict": self.verdict,
            "layers": [
                found.to_json() | {"verdict": verdict.to_json(), "gates": gate.to_json()}
                for found, verdict, gate in zip(self.reach, self.verdicts, self.gates, strict=True)
            ],
            "followers": [follower.to_json() for follower in self.followers],
            "saliency": self.saliency.to_json(),
            "profile": self.profile.to_json(),
        }


def inspect(
    model: Generator | str | Path,
    text: str | Path | None = None,
    *,
    steps: int = STEPS,
    unit: int | None = None,
    prompt: str | None = None,
    seed: int = 0,
) -> Inspection:
    """Look into a text model while it reads a text.

    model: a Generator or a run folder. text: a text or a file; left out, what the run kept for validation. steps: how
    far back the gradient is followed. unit: of the top layer, to be shown over the text. prompt: explain what the model
    expects after it; left out, after a piece of the text. seed: where in a long text to look.
    Raises UsageError for arguments that cannot be used, DataError for a text that cannot, RunError for a damaged run.

    >>> from ricorso import Generator
    >>> model = Generator(cell="gru", hidden_size=8, epochs=1, batch_size=2).fit("to be or not to be\\n" * 30)
    >>> found = inspect(model, "not to be or to be\\n" * 10, steps=20)
    >>> found.verdict in ("vanishing", "healthy", "exploding")
    True
    """
    if steps < 2:
        raise UsageError(f"steps must be 2 or more, got {steps}.")
    generator = model if isinstance(model, Generator) else load(model, "generate")
    if not isinstance(generator, Generator):
        raise UsageError(f"Only text models can be looked into so far; this one is of the task '{generator.task}'.")
    if not hasattr(generator, "model_"):
        raise UsageError("This Generator has not learnt anything yet; call fit first, or give a run folder.")
    config, vocabulary, recurrent = generator.config_, generator.vocabulary_, generator.model_.recurrent
    source = own_text(generator) if text is None else read_source(text, config.encoding)
    with threads(config.threads):
        passage = take(source.text, vocabulary, steps, recurrent.hidden_size * recurrent.num_layers, seed)
        return _look(generator, passage, source.path, vocabulary.encode(source.text), unit, prompt, seed)


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
