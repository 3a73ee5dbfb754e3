"""Every setting of the generate task, with its default: the only place where they live."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ricorso.training.settings import TrainingSettings, other_default

# What is chosen where the user leaves it open, by what a symbol is.
CHOSEN: dict[str, dict[str, Any]] = {
    "character": {
        "hidden_size": 512,
        "sequence_length": 64,
        "batch_size": 16,
        "learning_rate": 8e-3,
        "dropout": 0.25,
    },
    "word": {
        "hidden_size": 650,
        "embedding_size": 400,
        "sequence_length": 35,
        "batch_size": 20,
        "learning_rate": 3e-3,
        "dropout": 0.4,
        "input_dropout": 0.25,
        "embedding_dropout": 0.1,
    },
}
CHOSEN |= {"byte": CHOSEN["character"], "bpe": CHOSEN["character"]}


class GenerateConfig(TrainingSettings):
    """The settings of a Generator."""

    # the model
    cell: str = Field("gru", description="The recurrent cell: a name of `ricorso cells`, or FILE.py:NAME for your own.")
    hidden_size: int | None = Field(
        None, ge=1, description="Units in each layer; left out: 512, or 650 when symbols are words."
    )
    num_layers: int = Field(1, ge=1, description="Recurrent layers on top of one another.")
    embedding_size: int | None = Field(
        None,
        ge=1,
        description="Width of a learnt vector for each symbol; left out, symbols go straight to the first layer, words "
        "by a vector of 400.",
    )
    tied: bool | None = Field(
        None,
        description="Whether the scores are made from the vectors of the symbols; left out: wherever words are.",
    )
    layer_norm: bool = Field(False, description="Normalise each gate over the units.")

    # the text
    level: Literal["character", "byte", "bpe", "word"] = Field(
        "character", description="What a symbol is; a word is what stands between blanks."
    )
    vocabulary_size: int = Field(1000, ge=256, description="Symbols to learn when level is bpe.")
    minimum_count: int | None = Field(
        None,
        ge=1,
        description="Rarer characters or words become the unknown symbol; left out: 1 for up to 256 characters or "
        "20,000 words, 2 for more.",
    )
    encoding: str = Field("utf-8", description="How the text files are encoded.")
    validation_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of the text, at its end, that is kept for validation; 0 trains on everything.",
    )

    # training
    sequence_length: int | None = Field(
        None, ge=1, description="Symbols through which the gradient reaches back; left out: 64, or 35 words."
    )
    batch_size: int | None = Field(  # type: ignore[assignment]
        None, ge=1, description="Pieces of the text that are read side by side; left out: 16, or 20 of words."
    )
    restart: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the pieces that start from a zero state at each step, to learn to begin from nothing.",
    )
    learning_rate: float | None = Field(  # type: ignore[assignment]
        None, gt=0, description="The highest learning rate; left out: 0.008, or 0.003 for words."
    )
    weight_decay: float = other_default("weight_decay", 0.05)

    # against overfitting
    dropout: float | None = Field(
        None, ge=0, lt=1, description="Share of each layer's outputs that is dropped; left out: 0.25, or 0.4 for words."
    )
    input_dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share of the inputs of each layer that is dropped, the same at all steps of a batch; left out: 0, "
        "or 0.25 for words.",
    )
    embedding_dropout: float | None = Field(
        None, ge=0, lt=1, description="Share of the symbols whose vector is dropped; left out: 0, or 0.1 for words."
    )
    recurrent_dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of what recurrent matrices multiply that is dropped, the same at all steps."
    )
    weight_drop: float = Field(0.0, ge=0, lt=1, description="Share of the recurrent weights that is dropped.")
    zoneout: float = Field(0.0, ge=0, lt=1, description="Probability that a unit keeps its state.")
    activation_penalty: float = Field(
        0.0, ge=0, description="Weight of the mean squared output in the loss (activation regularisation)."
    )
    change_penalty: float = Field(
        0.0,
        ge=0,
        description="Weight of the mean squared change from output to output in the loss (temporal activation "
        "regularisation).",
    )

    # watching
    validation_limit: int = Field(
        200_000,
        ge=1,
        description="Symbols measured each time during training; a longer validation text is sampled evenly.",
    )
    samples: int = Field(5, ge=0, description="How often the model writes a sample during training, evenly spaced.")
    sample_length: int = Field(300, ge=1, description="Symbols in a sample.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.tied and self.embedding_size is None and self.level != "word":
            raise ValueError("tied needs vectors for the symbols: give embedding_size as well.")
        return self

    def resolved(self) -> Self:
        """The settings with what was left open decided: by the level, and the time budget."""
        config = super().resolved()
        chosen = {name: value for name, value in CHOSEN[self.level].items() if getattr(config, name) is None}
        for name, usual in (("input_dropout", 0.0), ("embedding_dropout", 0.0), ("tied", self.level == "word")):
            if getattr(config, name) is None:
                chosen.setdefault(name, usual)
        return config.model_copy(update=chosen)
