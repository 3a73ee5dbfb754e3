"""Cells as equations: the vocabulary, the cell, what is derived from it, and how it is shown and stored."""

from sympy import Abs, exp, log, sqrt, tanh

from ricorso.equations.cell import Cell
from ricorso.equations.symbols import (
    HORIZON,
    Gate,
    Noise,
    Parameter,
    Rate,
    State,
    StaticNoise,
    cosine,
    draws,
    gates,
    inputs,
    maximum,
    mean,
    normalise,
    parameters,
    products,
    rates,
    relu,
    scalars,
    sigmoid,
    signals,
    sine,
    softplus,
    states,
    step,
    where,
)

__all__ = [
    "HORIZON", "Abs", "Cell", "Gate", "Noise", "Parameter", "Rate", "State", "StaticNoise", "cosine", "draws", "exp",
    "gates", "inputs", "log", "maximum", "mean", "normalise", "parameters", "products", "rates", "relu", "scalars",
    "sigmoid", "signals", "sine", "softplus", "sqrt", "states", "step", "tanh", "where",
]  # fmt: skip
