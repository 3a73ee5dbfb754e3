"""Cells as equations: the vocabulary, the cell, what is derived from it, and how it is shown and stored."""

from sympy import Abs, exp, log, tanh

from ricorso.equations.cell import Cell
from ricorso.equations.symbols import Gate, State, gates, maximum, relu, sigmoid, softplus, states, step, where

__all__ = [
    "Abs", "Cell", "Gate", "State", "exp", "gates", "log", "maximum", "relu", "sigmoid", "softplus", "states", "step",
    "tanh", "where",
]  # fmt: skip
