"""The models of the forecast task."""

from ricorso.equations import Cell
from ricorso.tasks.forecast.autoregressive import AutoregressiveModel
from ricorso.tasks.forecast.blend import BlendedModel
from ricorso.tasks.forecast.config import ForecastConfig
from ricorso.tasks.forecast.inputs import InputSizes
from ricorso.tasks.forecast.segments import SegmentModel

ForecastModel = SegmentModel | BlendedModel | AutoregressiveModel


def make_model(cell: Cell, sizes: InputSizes, config: ForecastConfig) -> ForecastModel:
    """The model that a config, with everything chosen, asks for."""
    if config.model == "autoregressive":
        return AutoregressiveModel(cell, sizes, config)
    return BlendedModel(cell, sizes, config) if config.contexts else SegmentModel(cell, sizes, config)
