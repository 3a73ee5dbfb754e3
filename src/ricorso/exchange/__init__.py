"""Ricorso's layers in the place of torch's, in a model that is there already."""

from ricorso.exchange.model import accelerate
from ricorso.exchange.report import Layer, Report

__all__ = ["Layer", "Report", "accelerate"]
