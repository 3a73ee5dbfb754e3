"""Every setting of the classify task, with its default: the only place where they live."""

from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from ricorso.layers.pooling import POOLINGS
from ricorso.training.settings import DEFAULT_MINUTES, Passes, TrainingSettings, other_default

# what is chosen where the user leaves it open, by what a step of a sequence is
CHOSEN: dict[str, dict[str, Any]] = {
    "word": {"embedding_size": 128, "input_dropout": 0.4, "word_dropout": 0.1, "grams": 2},
    "character": {"embedding_size": 64, "input_dropout": 0.1, "word_dropout": 0.0, "grams": 3},
    "series": {"embedding_size": None, "input_dropout": 0.0, "word_dropout": 0.0, "grams": 0},
}
PASSES = Passes(steps=400, fewest=3, most=100, symbols=60)
# recordings, and examples with several labels, are not known by heart so soon
MORE_PASSES = replace(PASSES, fewest=6)
CHOSEN |= {"byte": CHOSEN["character"], "bpe": CHOSEN["word"]}


class ClassifyConfig(TrainingSettings):
    """The settings of a Classifier."""

    # the columns
    text: tuple[str, ...] | None = Field(None, strict=False, description="The column(s) of texts; left out: guessed.")
    label: tuple[str, ...] | None = Field(
        None, strict=False, description="The column of labels, or columns of 0 and 1, one each; left out: guessed."
    )
    header: bool | None = Field(None, description="Whether the first line of a table names columns; left out: guessed.")
    drop_empty: bool = Field(False, description="Leave texts out that are empty, instead of refusing them.")
    example: str | None = Field(
        None, description="In a table of series, the column that says which rows belong together."
    )
    time: str | None = Field(None, description="In a table of series, the column by which steps are in order.")
    features: tuple[str, ...] | None = Field(
        None, strict=False, description="In a table of series, the columns of numbers; left out: all others."
    )
    several: bool | None = Field(None, description="Whether an example may have several labels; left out: guessed.")
    separator: str | None = Field(None, description="What stands between several labels; left out: guessed.")
    label_until: str | None = Field(
        None, description="Labels are cut where this stands: ':' makes DESC of DESC:manner."
    )
    encoding: str = Field("utf-8", description="How the files of texts are encoded.")

    # the text
    level: Literal["word", "character", "byte", "bpe"] | None = Field(
        None, description="What a step of a text is; left out: characters of names and single words, else words."
    )
    lower: bool = Field(True, description="Whether words are read in lower case.")
    minimum_count: int | None = Field(
        None, ge=1, description="Words that are rarer count as unknown; left out: 2, in a small text 1."
    )
    grams: int | None = Field(
        None,
        ge=0,
        le=4,
        description="Groups of up to so many neighbours are also counted, as naive Bayes does, and what they say is "
        "added to the scores; 0: none; left out: 2 of words, 3 of letters.",
    )
    vocabulary_size: int = Field(30_000, ge=2, description="The most different symbols that are told apart.")

    # the model
    cell: str = Field("gru", description="The recurrent cell: a name of `ricorso cells`, or FILE.py:NAME for your own.")
    hidden_size: int = Field(128, ge=1, description="Units in each layer and direction.")
    num_layers: int = Field(1, ge=1, description="Recurrent layers on top of one another.")
    bidirectional: bool = Field(True, description="Read each sequence from both ends.")
    embedding_size: int | None = Field(
        None, ge=1, description="Width of a learnt vector for each symbol; left out: 128 for words, 64 for characters."
    )
    pooling: tuple[Literal[POOLINGS], ...] = Field(  # type: ignore[valid-type]
        ("last", "max", "mean"), strict=False, description="How the steps become one vector, side by side."
    )
    segment: int | None = Field(
        None,
        ge=1,
        description="Steps between two states that are kept in training; long sequences then take little memory and "
        "some time, and gradients stay exact.",
    )

    vectors: str | None = Field(
        None,
        description="A file of word vectors, as word2vec and GloVe write them as text, read beside the learnt ones; "
        "they are not changed, and words that only the file knows are read too.",
    )
    vectors_limit: int = Field(100_000, ge=1, description="The most vectors that are taken from the file's beginning.")
    layer_norm: bool = Field(False, description="Normalise each gate over the units.")
    init_from: str | None = Field(
        None,
        description="A run folder of `train generate` to start from: its vectors, layers and vocabulary are taken "
        "over, and texts are read forward as there.",
    )
    unfreeze_epochs: int | None = Field(
        None,
        ge=0,
        description="With init_from, epochs after which one more layer begins to learn, from the top; 0: all learn "
        "from the first step; left out: 1.",
    )

    # against overfitting
    dropout: float = Field(
        0.5, ge=0, lt=1, description="Share of the pooled vector, and of outputs between layers, dropped."
    )
    input_dropout: float | None = Field(
        None, ge=0, lt=1, description="Share of the inputs dropped, the same at each step; left out: by the level."
    )
    word_dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Share of the symbols that are read as unknown in training; left out: by the level.",
    )
    recurrent_dropout: float = Field(0.0, ge=0, lt=1, description="Share of the state dropped, the same at each step.")
    weight_drop: float = Field(0.0, ge=0, lt=1, description="Share of the recurrent weights dropped in each batch.")
    class_weights: Literal["balanced"] | None = Field(
        None, description="balanced: each class counts alike in the loss, however rare it is."
    )

    # training
    passes: ClassVar[Passes | None] = PASSES
    minutes: float | None = Field(None, gt=0, description="Time to train for.")
    epochs: int | None = Field(
        None,
        ge=1,
        description="Passes over the training data; with minutes, whichever ends first. Without both, as many as make "
        f"{PASSES.steps:,} steps, and as read {PASSES.symbols} symbols of each text, from {PASSES.fewest} (of "
        f"recordings and several labels {MORE_PASSES.fewest}) to {PASSES.most}, within {DEFAULT_MINUTES:g} minutes.",
    )
    batch_size: int = other_default("batch_size", 32)
    learning_rate: float = other_default("learning_rate", 2e-3)
    validation_fraction: float = Field(0.1, ge=0, lt=1, description="Share of the examples kept for validation.")

    @field_validator("text", "label", "features", "pooling", mode="before")
    @classmethod
    def _alone(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.unfreeze_epochs and self.init_from is None:
            raise ValueError("unfreeze_epochs is for a model that starts from a run; give init_from as well.")
        if self.vectors is not None and (self.init_from is not None or self.level not in (None, "word")):
            raise ValueError("vectors are of words; leave out init_from, and level, or choose level=word.")
        if not self.pooling:
            raise ValueError(f"pooling should name at least one of {', '.join(POOLINGS)}.")
        return self
