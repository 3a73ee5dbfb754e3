"""Every setting of the forecast task, with its default: the only place where they live."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ricorso.tasks.forecast.scaling import METHODS
from ricorso.training.settings import TrainingSettings, other_default


class ForecastConfig(TrainingSettings):
    """The settings of a Forecaster."""

    # the question
    horizon: int | None = Field(None, ge=1, description="Steps to forecast; left out: two seasons, or 12.")
    context: int | None = Field(
        None, ge=1, description="Steps of the past that a forecast is made from; left out: by season and length."
    )
    season: int | None = Field(None, ge=1, description="Steps of a season; left out: what the frequency suggests.")
    quantiles: tuple[float, ...] = Field(
        (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975),
        strict=False,
        description="Shares of the outcomes below each line of a forecast.",
    )

    # the columns
    time: str | None = Field(None, description="The column of times; left out: guessed.")
    series: str | None = Field(None, description="The column that names series; left out: guessed.")
    targets: tuple[str, ...] | None = Field(
        None, strict=False, description="The columns to forecast; left out: guessed."
    )
    known: tuple[str, ...] = Field(
        (),
        strict=False,
        description="Columns of numbers that are known for the future too, such as a price or a holiday.",
    )
    frequency: str | None = Field(None, description="The distance of two steps, such as 1h; left out: detected.")
    sort: bool = Field(False, description="Sort times that are not in order.")
    duplicates: Literal["error", "mean", "first", "last"] = Field(
        "error", description="What becomes of several values at one time."
    )

    # the model
    cell: str = Field("gru", description="The recurrent cell: a name of `ricorso cells`, or FILE.py:NAME for your own.")
    hidden_size: int | None = Field(None, ge=1, description="Units in each layer; left out: by the amount of data.")
    num_layers: int = Field(1, ge=1, description="Recurrent layers on top of one another.")
    segment: int | None = Field(None, ge=1, description="Steps that are read and written at once; left out: a season.")
    linear: bool = Field(True, description="Add a linear map from the past to the future.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of each layer's outputs that is dropped.")
    scaling: Literal[METHODS] | None = Field(  # type: ignore[valid-type]
        None, description="What each window is divided by; left out: mean, or standard where values go below zero."
    )
    difference: bool = Field(True, description="Forecast the distance from the last value.")
    log: bool = Field(False, description="Forecast the logarithm; values must be positive.")
    loss: Literal["quantile", "mae", "mse"] = Field("quantile", description="What is made small.")

    # training
    batch_size: int = other_default("batch_size", 64)
    learning_rate: float = other_default("learning_rate", 1e-3)
    windows_per_epoch: int | None = Field(
        None, ge=1, description="Windows that make an epoch; left out: all of them, at most 50,000."
    )
    validation_fraction: float | None = Field(
        None, ge=0, lt=1, description="Share of each series, at its end, for validation; left out: one horizon."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.quantiles or list(self.quantiles) != sorted(set(self.quantiles)):
            raise ValueError(f"quantiles should rise, got {self.quantiles}.")
        if not all(0 < level < 1 for level in self.quantiles):
            raise ValueError(f"quantiles should lie between 0 and 1, got {self.quantiles}.")
        return self
