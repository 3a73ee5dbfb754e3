"""Every setting of the forecast task, with its default: the only place where they live."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ricorso.tasks.forecast.calibration import have_intervals
from ricorso.tasks.forecast.heads import DISTRIBUTIONS
from ricorso.tasks.forecast.scaling import METHODS
from ricorso.training.settings import TrainingSettings, other_default


class ForecastConfig(TrainingSettings):
    """The settings of a Forecaster."""

    # the question
    horizon: int | None = Field(None, ge=1, description="Steps to forecast; left out: one season, or 12.")
    context: int | None = Field(
        None, ge=1, description="Steps of the past that a forecast is made from; left out: by season and length."
    )
    contexts: tuple[int, ...] | None = Field(
        None,
        strict=False,
        description="Several contexts in place of one: a network for each, and the forecast is the mean of theirs; the "
        "same one twice is two networks that begin differently.",
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
    past: tuple[str, ...] = Field(
        (), strict=False, description="Columns of numbers that are known only of the past, such as the weather."
    )
    static: tuple[str, ...] = Field(
        (),
        strict=False,
        description="Columns of numbers or names that never change in a series, such as a shop's region.",
    )
    calendar: tuple[str, ...] | None = Field(
        None,
        strict=False,
        description="Cycles of the calendar that are read, such as 'hour of day'; left out: those that the data go "
        "through twice; empty: none.",
    )
    frequency: str | None = Field(None, description="The distance of two steps, such as 1h; left out: detected.")
    sort: bool = Field(False, description="Sort times that are not in order.")
    duplicates: Literal["error", "mean", "first", "last"] = Field(
        "error", description="What becomes of several values at one time."
    )

    # the model
    model: Literal["segments", "autoregressive"] | None = Field(
        None,
        description="segments: the whole horizon at once, from segments of the past. autoregressive: a distribution of "
        "each value given those before, and paths drawn from it. Left out: segments, but for counts with many zeros.",
    )
    cell: str = Field("gru", description="The recurrent cell: a name of `ricorso cells`, or FILE.py:NAME for your own.")
    hidden_size: int | None = Field(None, ge=1, description="Units in each layer; left out: by the amount of data.")
    num_layers: int = Field(1, ge=1, description="Recurrent layers on top of one another.")
    segment: int | None = Field(
        None, ge=1, description="Steps that are read and written at once, of the model segments; left out: a season."
    )
    linear: bool = Field(True, description="Add a linear map from the past to the future, in the model segments.")
    lags: tuple[int, ...] | None = Field(
        None,
        strict=False,
        description="How many steps back values are read besides the last one, by the autoregressive model; left out: "
        "the seasons.",
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of each layer's outputs that is dropped.")
    scaling: Literal[METHODS] | None = Field(  # type: ignore[valid-type]
        None, description="What each window is divided by; left out: mean, or standard where values go below zero."
    )
    difference: bool | None = Field(
        None, description="Forecast the distance from the last value; left out: yes, but not of sampled values."
    )
    log: bool = Field(False, description="Forecast the logarithm; values must be positive.")
    loss: Literal["quantile", "mae", "mse", "gaussian", "student_t", "negative_binomial"] | None = Field(
        None,
        description="What is made small: with segments quantile, mae or mse; autoregressive the likelihood of gaussian,"
        " student_t or negative_binomial, or mae or mse. Left out: quantile or student_t.",
    )
    calibrate: bool | None = Field(
        None,
        description="Stretch the intervals of loss quantile until they hold what they promise on the windows held out "
        "for validation; left out: where there are enough of them and it makes forecasts better.",
    )
    paths: int = Field(200, ge=1, description="Paths that quantiles of an autoregressive model are counted from.")

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
        if self.contexts is not None:
            self._check_contexts(self.contexts)
        self._check_model()
        return self

    @property
    def history(self) -> int:
        """How many steps before the origin are read: the context and what lags need before it."""
        assert self.context is not None
        return self.context if self.model == "segments" else self.context + max((1, *(self.lags or ())))

    def _check_contexts(self, contexts: tuple[int, ...]) -> None:
        if not contexts or contexts[0] < 1 or list(contexts) != sorted(contexts):
            raise ValueError(f"contexts should be 1 or more, shorter ones first; got {contexts}.")
        if self.context not in (None, contexts[-1]):
            raise ValueError(f"Give context={self.context} or contexts={contexts}, not both.")
        if self.model == "autoregressive" or self.loss in DISTRIBUTIONS:
            raise ValueError("contexts are for segments; autoregressive reads step by step from one context.")

    def _check_model(self) -> None:
        model, loss = self.model, self.loss
        if model == "autoregressive" and loss == "quantile":
            raise ValueError(
                f"loss=quantile is for segments; autoregressive takes {', '.join(DISTRIBUTIONS)}, mae, mse."
            )
        if loss in DISTRIBUTIONS and model == "segments":
            raise ValueError(f"loss={loss} is for autoregressive; segments take quantile, mae or mse.")
        if self.calibrate and (model == "autoregressive" or loss not in (None, "quantile")):
            raise ValueError("calibrate is for loss=quantile; paths drawn from a distribution stay as they are.")
        if self.calibrate and not have_intervals(self.quantiles):
            raise ValueError(
                f"calibrate needs quantiles that are the ends of an interval, as 0.1 and 0.9 are; got {self.quantiles}."
            )
        if self.calibrate and self.validation_fraction == 0:
            raise ValueError("calibrate needs windows that were not learnt from: validation_fraction above 0.")
        if self.past and model == "autoregressive":
            raise ValueError("past columns end where the forecast begins; only segments can read them.")
        lags = self.lags or ()
        if min(lags, default=2) < 2 or list(lags) != sorted(set(lags)):
            raise ValueError(f"lags should rise and be above 1, as the last value is always read; got {self.lags}.")
        if loss == "negative_binomial" and (self.difference or self.log or self.scaling not in (None, "mean", "none")):
            raise ValueError("loss=negative_binomial is for counts: without difference and log, scaling mean or none.")
