"""The models of the forecast task."""

from ricorso.equations import Cell
from ricorso.tasks.forecast.autoregressive import AutoregressiveModel
from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.inputs import InputSizes
from ricorso.tasks.forecast.segments import SegmentModel

ForecastModel = SegmentModel | AutoregressiveModel


def make_model(cell: Cell, sizes: InputSizes, config: ForecastConfig) -> ForecastModel:
    """The model that a config, with everything chosen, asks for."""
    kind = AutoregressiveModel if config.model == "autoregressive" else SegmentModel
    return kind(cell, sizes, config)
