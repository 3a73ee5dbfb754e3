"""Recurrent layers for torch."""

from ricorso.layers.recurrent import Recurrent

__all__ = ["Recurrent"]
