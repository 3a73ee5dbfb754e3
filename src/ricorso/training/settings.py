"""The settings that every task trains by, each with its default; a task's config adds its own."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ricorso.errors import UsageError, did_you_mean
from ricorso.training.optimiser import OPTIMISERS
from ricorso.training.schedule import SCHEDULES

DEFAULT_MINUTES = 3.0


@dataclass(frozen=True)
class Passes:
    """How long to train without a budget: as many epochs as make `steps` steps, from `fewest` to `most`.

    symbols: how many of each example are read at least, over all epochs, where its length is known: short examples say
    little at a time.
    """

    steps: int
    fewest: int
    most: int
    symbols: int = 0

    def epochs(self, batches: int, length: float | None = None) -> int:
        """Of so many batches, of examples of so many symbols.

        >>> Passes(steps=2000, fewest=10, most=60).epochs(100)
        20
        >>> Passes(steps=400, fewest=3, most=100, symbols=60).epochs(500, length=12)
        5
        """
        read = self.symbols / max(length, 1) if length else 0
        return min(max(round(self.steps / batches), round(read), self.fewest), self.most)


class TrainingSettings(BaseModel):
    """How to train; frozen, and checked when it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    # what a task trains for without a budget, within DEFAULT_MINUTES; without it, for DEFAULT_MINUTES
    passes: ClassVar[Passes | None] = None

    # how long
    minutes: float | None = Field(
        None, gt=0, description=f"Time to train for; {DEFAULT_MINUTES:g} when neither minutes nor epochs is given."
    )
    epochs: int | None = Field(
        None, ge=1, description="Passes over the training data; with minutes, whichever ends first."
    )
    patience: int | None = Field(
        None, ge=1, description="Stop after so many validations without improvement; left out: never."
    )

    # the steps
    batch_size: int = Field(32, ge=1, description="Examples that are learnt from side by side.")
    accumulate: int = Field(1, ge=1, description="Batches whose gradients are added up for one step.")
    optimiser: Literal[OPTIMISERS] = Field("adamw", description="What turns gradients into steps.")  # type: ignore[valid-type]
    learning_rate: float = Field(3e-3, gt=0, description="The highest learning rate.")
    momentum: float = Field(0.0, ge=0, lt=1, description="Momentum of the optimiser sgd.")
    schedule: Literal[SCHEDULES] = Field(  # type: ignore[valid-type]
        "cosine",
        description="The learning rate over time: constant, a cosine down to zero, halved at each plateau of the "
        "validation loss, or one cycle up and down.",
    )
    warmup: float = Field(0.02, ge=0, lt=1, description="Share of the training in which the learning rate rises.")
    plateau_patience: int = Field(
        2, ge=1, description="Validations without improvement that make a plateau, for the schedule of that name."
    )
    plateau_factor: float = Field(0.5, gt=0, lt=1, description="What the learning rate is multiplied by at a plateau.")
    clip: float = Field(1.0, ge=0, description="Largest norm of the gradient; 0 leaves it as it is.")
    clip_value: float = Field(0.0, ge=0, description="Largest entry of the gradient; 0 leaves it as it is.")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="What products are computed in; bfloat16 takes half the memory and, where the processor has it, "
        "about half the time.",
    )

    # against overfitting
    weight_decay: float = Field(0.01, ge=0, description="Decay of the weight matrices, apart from the gradient.")
    l2: float = Field(0.0, ge=0, description="Weight of half the squared matrices in the loss.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of each target that is spread over all classes.")
    average: float = Field(
        0.99, ge=0, lt=1, description="Decay a step of the averaged weights, which are kept; 0: no such average."
    )
    average_after: int | None = Field(
        None,
        ge=1,
        description="Validations without improvement after which the weights of all later steps are averaged evenly "
        "(NT-ASGD); replaces `average`.",
    )

    seed: int = Field(0, ge=0, lt=2**63, description="The same seed gives the same training.")
    threads: int | None = Field(None, ge=1, description="CPU threads; left out: as many as torch takes.")

    # watching
    validations: int = Field(10, ge=1, description="How often the model is measured during training, evenly spaced.")
    log_every: int = Field(10, ge=1, description="Steps between two lines of metrics.jsonl.")
    checkpoint_minutes: float = Field(5.0, gt=0, description="Minutes between two checkpoints.")
    checkpoint_steps: int | None = Field(
        None, ge=1, description="Steps between two checkpoints; with checkpoint_minutes, whichever comes first."
    )
    tensorboard: str | None = Field(None, description="A folder for TensorBoard, beside metrics.jsonl.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """The settings with the given options in place of defaults.

        Raises UsageError for an unknown option, with the nearest known one, and for a value that cannot be used.
        """
        cls.check_names(options)
        try:
            return cls(**options)
        except ValidationError as error:
            first = error.errors()[0]
            name = first["loc"][0] if first["loc"] else "settings"
            message = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            if not first["loc"]:
                raise UsageError(message) from error
            raise UsageError(f"{name} should be {message}, got {first['input']!r}.") from error

    @classmethod
    def check_names(cls, options: Mapping[str, Any]) -> None:
        """Raise UsageError for an option that does not exist."""
        for name in options:
            if name not in cls.model_fields:
                known = ", ".join(cls.model_fields)
                raise UsageError(f"There is no option '{name}'.{did_you_mean(name, cls.model_fields)} Known: {known}.")

    def resolved(self) -> Self:
        """The settings with what was left open decided: the time budget, unless it depends on the data."""
        if self.minutes is None and self.epochs is None and self.passes is None:
            return self.model_copy(update={"minutes": DEFAULT_MINUTES})
        return self

    def for_size(self, examples: int, passes: Passes | None = None, length: float | None = None) -> Self:
        """The settings with the budget decided by the number of examples, where none was given.

        passes: others than the task's; length: how many symbols an example has, where that is known.
        """
        passes = passes or self.passes
        if self.minutes is not None or self.epochs is not None or passes is None:
            return self
        epochs = passes.epochs(-(-examples // self.batch_size), length)
        return self.model_copy(update={"epochs": epochs, "minutes": DEFAULT_MINUTES})


def epochs_by_data(passes: Passes) -> Any:
    """The field `epochs` for the config of a task that has `passes`."""
    field = copy(TrainingSettings.model_fields["epochs"])
    field.description = (
        "Passes over the training data; with minutes, whichever ends first. Without both, as many as make "
        f"{passes.steps:,} steps, from {passes.fewest} to {passes.most}, within {DEFAULT_MINUTES:g} minutes."
    )
    return field


def other_default(name: str, value: Any) -> Any:
    """The field of `TrainingSettings` with another default, for a task's config."""
    field = copy(TrainingSettings.model_fields[name])
    field.default = value
    return field
