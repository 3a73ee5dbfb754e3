"""Every setting of the tag task, with its default: the only place where they live."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from ricorso.training.settings import Passes, TrainingSettings, epochs_by_data, other_default

_PASSES = Passes(steps=2000, fewest=10, most=60)


class TagConfig(TrainingSettings):
    """The settings of a Tagger."""

    # the data
    word_column: str | None = Field(
        None, description="The column of words: a number from 1, or a name where there are names; left out: the first."
    )
    tag_column: str | None = Field(
        None,
        description="The column of tags: a number from 1, from the end -1, or a name; left out: the last, in CoNLL-U "
        "upos.",
    )
    column: str | None = Field(
        None, description="In a table of series, the column of tags; it makes the data such a table."
    )
    example: str | None = Field(
        None,
        description="In a table of series, the column that says which rows belong together; left out: all rows do.",
    )
    encoding: str = Field("utf-8", description="How the files are encoded.")
    scheme: Literal["IOB1", "IOB2", "BIOES", "none"] | None = Field(
        None, description="How tags mark spans; none: they mark no spans; left out: found out."
    )
    learn_as: Literal["IOB2", "BIOES"] = Field("BIOES", description="The scheme in which spans are learnt.")
    invalid: Literal["repair", "error"] = Field(
        "repair", description="What becomes of tags that the scheme does not allow where they stand."
    )
    minimum_count: int = Field(1, ge=1, description="Words that are rarer count as unknown.")

    # the model
    cell: str = Field(
        "lstm", description="The recurrent cell: a name of `ricorso cells`, or FILE.py:NAME for your own."
    )
    hidden_size: int = Field(128, ge=1, description="Units in each layer and direction.")
    num_layers: int = Field(1, ge=1, description="Recurrent layers on top of one another.")
    bidirectional: bool = Field(True, description="Read each sequence from both ends.")
    embedding_size: int = Field(100, ge=1, description="Width of a learnt vector for each word.")
    characters: bool = Field(True, description="Whether words are read letter by letter as well.")
    character_size: int = Field(32, ge=1, description="Width of a learnt vector for each letter.")
    character_hidden: int = Field(48, ge=1, description="Units that read the letters, in each direction.")
    vectors: str | None = Field(
        None, description="A file of word vectors, as word2vec and GloVe write them as text; they are not changed."
    )
    vectors_limit: int = Field(100_000, ge=1, description="The most vectors that are taken from the file's beginning.")
    crf: bool | None = Field(
        None, description="Score whole sequences of tags (conditional random field); left out: where tags mark spans."
    )

    # against overfitting
    dropout: float = Field(0.5, ge=0, lt=1, description="Share of the inputs and of the outputs of the layers dropped.")
    input_dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of the inputs of each layer dropped, the same at each step."
    )
    recurrent_dropout: float = Field(0.0, ge=0, lt=1, description="Share of the state dropped, the same at each step.")
    weight_drop: float = Field(0.0, ge=0, lt=1, description="Share of the recurrent weights dropped in each batch.")
    word_dropout: float = Field(
        0.05, ge=0, lt=1, description="Share of the words that are read as unknown in training."
    )
    rare_dropout: float = Field(
        0.5, ge=0, lt=1, description="The same share of words that occur once, to learn what unknown words are like."
    )

    # training
    passes: ClassVar[Passes | None] = _PASSES
    minutes: float | None = Field(None, gt=0, description="Time to train for.")
    epochs: int | None = epochs_by_data(_PASSES)
    batch_size: int = other_default("batch_size", 32)
    learning_rate: float = other_default("learning_rate", 1e-2)
    validation_fraction: float = Field(
        0.1, ge=0, lt=1, description="Share of the sequences kept for validation, where no data are given for that."
    )

    @field_validator("word_column", "tag_column", mode="before")
    @classmethod
    def _column_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.crf and self.label_smoothing:
            raise ValueError("label_smoothing is for a softmax; with crf=True it should be 0.")
        return self
