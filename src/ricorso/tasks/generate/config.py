"""Every setting of the generate task, with its default: the only place where they live."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ricorso.errors import UsageError, did_you_mean

DEFAULT_MINUTES = 3.0


class GenerateConfig(BaseModel):
    """The settings of a Generator; frozen, and checked when it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    # the model
    cell: str = Field("gru", description="The recurrent cell: a name of `ricorso cells`, or FILE.py:NAME for your own.")
    hidden_size: int = Field(512, ge=1, description="Units in each layer.")
    num_layers: int = Field(1, ge=1, description="Recurrent layers on top of one another.")
    embedding_size: int | None = Field(
        None,
        ge=1,
        description="Width of a learnt vector for each symbol; left out, symbols go straight to the first layer.",
    )
    dropout: float = Field(0.25, ge=0, lt=1, description="Share of each layer's outputs that is dropped in training.")

    # the text
    level: Literal["character", "byte", "bpe"] = Field("character", description="What a symbol is.")
    vocabulary_size: int = Field(1000, ge=256, description="Symbols to learn when level is bpe.")
    minimum_count: int | None = Field(
        None,
        ge=1,
        description="Rarer characters become the unknown symbol; left out: 1 for up to 256 characters, 2 for more.",
    )
    encoding: str = Field("utf-8", description="How the text files are encoded.")
    validation_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of the text, at its end, that is kept for validation; 0 trains on everything.",
    )

    # training
    sequence_length: int = Field(64, ge=1, description="Symbols through which the gradient reaches back.")
    batch_size: int = Field(16, ge=1, description="Pieces of the text that are read side by side.")
    restart: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the pieces that start from a zero state at each step, to learn to begin from nothing.",
    )
    minutes: float | None = Field(
        None, gt=0, description=f"Time to train for; {DEFAULT_MINUTES:g} when neither minutes nor epochs is given."
    )
    epochs: int | None = Field(
        None, ge=1, description="Passes over the training text; with minutes, whichever ends first."
    )
    learning_rate: float = Field(8e-3, gt=0, description="The highest learning rate of AdamW.")
    warmup: float = Field(0.02, ge=0, lt=1, description="Share of the training in which the learning rate rises.")
    weight_decay: float = Field(0.05, ge=0, description="Decay of the weight matrices.")
    clip: float = Field(1.0, ge=0, description="Largest norm of the gradient; 0 leaves it as it is.")
    average: float = Field(
        0.99, ge=0, lt=1, description="Decay a step of the averaged weights, which are kept; 0: no average."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="The same seed gives the same training.")
    threads: int | None = Field(None, ge=1, description="CPU threads; left out: as many as torch takes.")

    # watching
    validations: int = Field(10, ge=1, description="How often the model is measured during training, evenly spaced.")
    validation_limit: int = Field(
        200_000,
        ge=1,
        description="Symbols measured each time during training; a longer validation text is sampled evenly.",
    )
    samples: int = Field(5, ge=0, description="How often the model writes a sample during training, evenly spaced.")
    sample_length: int = Field(300, ge=1, description="Symbols in a sample.")
    log_every: int = Field(10, ge=1, description="Steps between two lines of metrics.jsonl.")
    checkpoint_minutes: float = Field(5.0, gt=0, description="Minutes between two checkpoints.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """The settings with the given options in place of defaults.

        Raises UsageError for an unknown option, with the nearest known one, and for a value that cannot be used.
        """
        check_names(options)
        try:
            return cls(**options)
        except ValidationError as error:
            first = error.errors()[0]
            name = first["loc"][0] if first["loc"] else "settings"
            message = first["msg"].removeprefix("Input should be ")
            raise UsageError(f"{name} should be {message}, got {first['input']!r}.") from error

    def resolved(self) -> Self:
        """The settings with what was left open decided: the time budget."""
        if self.minutes is None and self.epochs is None:
            return self.model_copy(update={"minutes": DEFAULT_MINUTES})
        return self


def check_names(options: Mapping[str, Any]) -> None:
    """Raise UsageError for an option that does not exist."""
    for name in options:
        if name not in GenerateConfig.model_fields:
            known = ", ".join(GenerateConfig.model_fields)
            raise UsageError(
                f"There is no option '{name}'.{did_you_mean(name, GenerateConfig.model_fields)} Known: {known}."
            )
